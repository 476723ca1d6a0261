export type ScenarioErrorCode = 'malformed' | 'unknown-field' | 'out-of-range' | 'unknown-sweep'

/** What is wrong with a scenario, and where: `path` names the field as in `policies.0.risk`. */
export class ScenarioError extends Error {
  override readonly name = 'ScenarioError'
  readonly code: ScenarioErrorCode
  readonly path: string

  constructor(code: ScenarioErrorCode, path: string, message: string) {
    super(`${path === '' ? 'the scenario' : path}: ${message}`)
    this.code = code
    this.path = path
  }
}

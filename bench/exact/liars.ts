/** Many liars by one bit, over all models of the test set: each must be pinned to its step, nobody else to anything. */
import { REAL_MODELS, TEST_SET } from '../../test/exact/models/index.ts'
import { isPinned, setTamperingScene, supplyEngines, type TamperedRun } from '../../test/exact/tampering.ts'
import { type Percentiles, percentiles } from './steps.ts'

export interface LiarsResult {
  readonly runs: number
  readonly pinned: number
  readonly falseAccusations: number
  /** Lies that ended the liar's own run, so that there was nothing to dispute. */
  readonly ended: number
  readonly refereeMs: Percentiles
  readonly bytes: Percentiles
  readonly missed: readonly TamperedRun[]
}

/** Real models have half of the lies, and `seed` decides where each is. */
export async function tamper(
  wanted: number,
  seed: number,
  tell: (line: string) => void,
): Promise<LiarsResult> {
  const runs: TamperedRun[] = []
  const engines = supplyEngines()
  let ended = 0
  const others = TEST_SET.length - REAL_MODELS.length
  for (const [at, model] of TEST_SET.entries()) {
    const isReal = REAL_MODELS.includes(model)
    // What one model could not give (it has no steps, or its lies end it) the later ones make up for.
    const share = isReal
      ? Math.ceil(wanted / 2 / REAL_MODELS.length)
      : Math.ceil((wanted - runs.length) / Math.max(1, others - (at - REAL_MODELS.length)))
    const scene = await setTamperingScene(model, engines)
    let told = 0
    for (let attempt = 0; told < share && attempt < 4 * share && runs.length < wanted; attempt++) {
      const run = await scene.tamper(seed * 1_000_003 + attempt)
      if (run === undefined) ended++
      else {
        runs.push(run)
        told++
      }
    }
    tell(`${model.name}: ${told} lies`)
  }
  const missed = runs.filter((run) => !isPinned(run))
  return {
    runs: runs.length,
    pinned: runs.length - missed.length,
    falseAccusations: runs.filter(({ honest }) => honest.status === 'guilty').length,
    ended,
    refereeMs: percentiles(runs.map(({ refereeMs }) => refereeMs)),
    bytes: percentiles(runs.map(({ bytes }) => bytes)),
    missed,
  }
}

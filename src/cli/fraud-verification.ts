/** `verimesh fraud verify`: one process is given the model and runs one step, and whoever reads this believes nobody. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  createExactRuntime,
  type ExactRuntimeInit,
  exactRuntimeInfo,
  type PreparedHost,
  type SupervisedExactRuntime,
} from '../../models/runtime/index.ts'
import { type FraudVerdict, fraudProofId, verifyFraudProof } from '../../protocols/fraud/index.ts'
import type { VerifyOptions } from './fraud.ts'
import { dataOption } from './options.ts'
import { readProof } from './proof-file.ts'
import type { Terminal } from './terminal.ts'

/** For a model that never ends, or a step that takes all memory: the proof is undecided then. */
const VERIFY_TIMEOUT_MS = 120_000

/**
 * Tells whether a proof holds, and sets the exit code. `prepared` is given the model; whoever prepared it closes it. Rejects with
 * CommandError.
 */
export async function verify(
  text: string,
  options: VerifyOptions,
  terminal: Terminal,
  prepared: PreparedHost,
): Promise<void> {
  const bytes = await readProof(text, options.data, terminal)
  const startedAtMs = performance.now()
  const verdict = await verifyWith(bytes, options, prepared)
  const elapsedMs = performance.now() - startedAtMs
  process.exitCode = verdict.status === 'valid' ? 0 : verdict.status === 'invalid' ? 4 : 3
  if (options.json) return terminal.printJson({ id: fraudProofId(bytes), ...verdict, elapsedMs })
  if (verdict.status !== 'valid') {
    const damaged = verdict.code === 'malformed' ? 'this is no proof, or not all of one: ' : ''
    terminal.print(`${verdict.status}: ${damaged}${verdict.message}`)
    if (verdict.status === 'undecided' && verdict.code === 'unknown-model')
      terminal.note(
        `name the model with --model, or add it: verimesh models add ${await nameOf(verdict.message)}${dataOption(options.data)}`,
      )
    if (verdict.status === 'undecided' && verdict.code === 'other-plan')
      terminal.note('the model is another one than the proof is about, or was planned by other rules')
    return
  }
  const { accused, kind, jobId, model, position, operator } = verdict
  terminal.print(`valid: ${accused} signed something false (${kind})`)
  terminal.print(`  job    ${jobId}`)
  terminal.print(`  model  ${model}`)
  if (position !== undefined)
    terminal.print(`  at     ${whereOf(position)}${operator === undefined ? '' : ` (${operator})`}`)
  terminal.note(`verified offline in ${(elapsedMs / 1000).toFixed(2)} s, on nobody's word`)
}

/** A position of the plan for people: steps of a graph are counted from 1, those of its branches and loops by their path. */
function whereOf(position: string): string {
  return /^\d+$/.test(position)
    ? `step ${Number(position) + 1} of its trace`
    : `${position} in its trace, each number from 0`
}

async function verifyWith(
  bytes: Uint8Array,
  { model, data }: VerifyOptions,
  { spawn }: PreparedHost,
): Promise<FraudVerdict> {
  const find = await openModel(model, data)
  const signal = AbortSignal.timeout(VERIFY_TIMEOUT_MS)
  const runtimes: SupervisedExactRuntime[] = []
  try {
    return await verifyFraudProof(
      bytes,
      {
        laneId: exactRuntimeInfo().version,
        modelOf: async (cid) => {
          const found = find(cid)
          if (found === undefined) return undefined
          const runtime = createExactRuntime(found, { spawn })
          runtimes.push(runtime)
          return {
            plan: await runtime.plan(signal),
            laneId: runtime.info.version,
            runStep: (...step) => runtime.runStep(...step),
          }
        },
      },
      signal,
    )
  } finally {
    await Promise.all(runtimes.map((runtime) => runtime.close()))
  }
}

type FindModel = (cid: string) => ExactRuntimeInit | undefined

/**
 * The model that the person names, else whatever this machine has. Its plan is derived, not believed, and its address not
 * asked for: a proof counts only where the accused itself signed the root of this model's plan.
 */
async function openModel(text: string | undefined, data: string): Promise<FindModel> {
  if (text !== undefined && (await isPath(text))) {
    const modelPath = resolve(await modelAt(text))
    return () => ({ modelPath })
  }
  const [{ openModelStore }, { resolveModel }] = await Promise.all([
    import('../../models/store/index.ts'),
    import('./model-address.ts'),
  ])
  const store = await openModelStore(data)
  const only = text === undefined ? undefined : resolveModel(text, store)
  return (cid) => {
    const stored = only === undefined || only === cid ? store.get(cid) : undefined
    return stored && { modelPath: stored.modelPath, signature: stored.manifest.signature }
  }
}

async function isPath(text: string): Promise<boolean> {
  return (await stat(text).catch(() => undefined)) !== undefined
}

/** The `.onnx` file that a path names, or the one in a model's directory. Rejects with SourceError where there is none. */
async function modelAt(path: string): Promise<string> {
  if (path.endsWith('.onnx') && (await stat(path)).isFile()) return path
  const { selectFiles } = await import('../../models/source/index.ts')
  const { root, model } = await selectFiles(path)
  return join(root, model)
}

/** What the catalogue calls the model that a message names, if it knows it. */
async function nameOf(message: string): Promise<string> {
  const { CATALOGUE } = await import('../../models/catalogue/index.ts')
  return CATALOGUE.find(({ cid }) => message.includes(cid))?.name ?? 'SOURCE'
}

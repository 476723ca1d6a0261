/** How the list of the exact lane's operators is earned: the test set and the zoo traced here, every step replayed elsewhere. */
import { RuntimeError } from '../../models/runtime/index.ts'
import type { WasmEngine } from '../../models/runtime/wasm-engine.ts'
import { openLane, supplyEngine, type WalkedStep } from './lane.ts'
import type { ModelFiles, TestModel } from './models/index.ts'
import { type Replayer, startReplayer, type TracedStep } from './replay.ts'
import { buildZooModel, type Cell, casesOf } from './zoo/index.ts'

/** What an operator was seen to do: its domain and type, in a version, with an operand of a type. */
export type Use = `${string}:${string} ${number} ${string}`

export interface Earnings {
  readonly models: number
  readonly steps: number
  /** What was executed and executed again alike. */
  readonly uses: ReadonlySet<Use>
  /** Cells of which the engine has no case at all: it says so on every machine. */
  readonly refused: readonly { readonly cell: Cell; readonly why: string }[]
  readonly failures: readonly string[]
}

/** What onnxruntime says of an operator that it does not have for these element types or in this version. */
const NOT_THERE =
  /NOT_IMPLEMENTED|Could not find an implementation|Failed to find kernel|Type Error: Type |is not a registered function|No Op registered/

/** After so many models, the next process: a replayer that has run much is no fresh one. */
const MODELS_PER_PROCESS = 1_000
const LARGE_STEPS = 100
/** Replays that may wait, each with the values of its steps. */
const WAITING_MAX = 4

/** `tell` is called as work goes on. Whatever does not end well is in `failures`. */
export async function earn(
  models: readonly TestModel[],
  cells: readonly Cell[],
  tell: (line: string) => void = () => {},
): Promise<Earnings> {
  const uses = new Set<Use>()
  const refused: { cell: Cell; why: string }[] = []
  const failures: string[] = []
  const waiting = new Set<Promise<void>>()
  const engine = supplyEngine()
  let replayer = startReplayer()
  let [modelCount, steps, used] = [0, 0, 0]

  /** Large models have a process each, small ones share it. */
  async function replay(name: string, files: ModelFiles, walked: Walked): Promise<void> {
    const isAlone = walked.steps.length >= LARGE_STEPS
    modelCount++
    steps += walked.steps.length
    if (used++ === MODELS_PER_PROCESS || (isAlone && used > 1)) {
      await Promise.all(waiting)
      await replayer.close()
      replayer = startReplayer()
      used = 1
    }
    const answer: Promise<void> = check(replayer, name, files, walked).finally(() => waiting.delete(answer))
    waiting.add(answer)
    if (waiting.size >= WAITING_MAX) await Promise.race(waiting)
  }

  async function check(by: Replayer, name: string, files: ModelFiles, walked: Walked): Promise<void> {
    try {
      const { failures: found } = await by.replay(files, walked.steps)
      for (const line of found) failures.push(`${name} ${line}`)
      if (found.length === 0) for (const use of walked.uses) uses.add(use)
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message}`)
    }
  }

  try {
    for (const model of models) {
      const files = model.load()
      const walked = walk(files, model.inputs(1), await engine())
      if (walked.steps.length < model.leavesMin) failures.push(`${model.name}: ${walked.steps.length} leaves`)
      await replay(model.name, files, walked)
    }
    tell(`${modelCount} models of the test set, ${steps} steps`)
    let told = ''
    for (const cell of cells) {
      const name = `${cell.type} ${cell.opset} ${cell.dtype}`
      if (told !== cell.type) tell(cell.type)
      told = cell.type
      const found = traceCell(cell, await engine())
      for (const line of found.failures) failures.push(`${name}: ${line}`)
      if (found.walked === undefined) refused.push({ cell, why: found.why })
      else await replay(name, found.files, found.walked)
    }
    await Promise.all(waiting)
  } finally {
    await replayer.close()
  }
  return { models: modelCount, steps, uses, refused, failures }
}

interface Walked {
  readonly steps: readonly TracedStep[]
  readonly uses: ReadonlySet<Use>
}

function walk(
  files: ModelFiles,
  inputs: Parameters<ReturnType<typeof openLane>['walk']>[0],
  engine: WasmEngine,
  onStep: (step: WalkedStep) => void = () => {},
): Walked {
  const steps: TracedStep[] = []
  const uses = new Set<Use>()
  openLane(files, engine, { sessionBytesMax: 0 }).walk(inputs, (walked) => {
    const { position, operands, outputs } = walked.leaf
    steps.push({ position, operands, outputs, payload: walked.payload() })
    const { domain, type, opset } = walked.step
    for (const dtype of walked.dtypes()) uses.add(`${domain}:${type} ${opset} ${dtype}`)
    onStep(walked)
  })
  return { steps, uses }
}

type TracedCell = { readonly failures: readonly string[] } & (
  | { readonly walked: Walked; readonly files: ModelFiles }
  | { readonly walked: undefined; readonly why: string }
)

/** Leaves out, one after the other, the cases that the engine does not have. */
function traceCell(cell: Cell, engine: WasmEngine): TracedCell {
  const failures: string[] = []
  let cases = casesOf(cell) ?? []
  let why = 'the zoo has no case of it'
  while (cases.length > 0) {
    const { bytes, inputs, caseOf } = buildZooModel(cell, cases)
    const files: ModelFiles = { model: bytes, files: new Map() }
    let ended = -1
    try {
      const walked = walk(files, inputs, engine, ({ leaf: { position }, phase }) => {
        if (phase !== 'decide' && !position.includes('/')) ended = Number.parseInt(position, 10)
      })
      return { failures, walked, files }
    } catch (error) {
      why = (error as Error).message
      const isNotThere = error instanceof RuntimeError && error.code === 'run-failed' && NOT_THERE.test(why)
      if (!isNotThere) failures.push(why)
      if (engine.isSpent()) break
      const failed = caseOf[ended + 1] ?? 0
      cases = cases.filter((_, index) => index !== failed)
    }
  }
  return { failures, walked: undefined, why }
}

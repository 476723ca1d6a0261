/** Liars that change one bit of one output of one step and compute on with it, and what the referee makes of them. */
import type { Plan } from '../../models/plan/index.ts'
import { RuntimeError } from '../../models/runtime/index.ts'
import type { Machine } from '../../models/runtime/interpreter.ts'
import type { WasmEngine, WasmValue } from '../../models/runtime/wasm-engine.ts'
import type { Tensor } from '../../models/tensor/index.ts'
import { canonicalValue, digestValue, encodeLeaf, type Value } from '../../models/trace/index.ts'
import {
  type InputDigests,
  judge,
  type Party,
  type Settlement,
  settle,
} from '../../src/verification/index.ts'
import { type Lane, openLane, supplyEngine } from './lane.ts'
import type { ModelFiles, TestModel } from './models/index.ts'
import { createSamples, type SampleSource } from './models/model.ts'

export interface TamperedRun {
  readonly model: string
  readonly operator: string
  /** Of the leaf that the liar changed. */
  readonly index: number
  readonly position: string
  readonly divergence: number | undefined
  readonly liar: Settlement
  readonly honest: Settlement
  /** The referee's own work: judging both traces and running the step for each party. */
  readonly refereeMs: number
  /** What travels: both parties' leaves, and the operands of one step from each. */
  readonly bytes: number
}

export interface TamperingScene {
  /** One liar more; undefined where what it changed made the run fail further on, so that it has no trace to sign. */
  tamper(seed: number): Promise<TamperedRun | undefined>
}

/** Engines of a whole cast: what a liar breaks is its own. */
export interface Engines {
  readonly honest: () => Promise<WasmEngine>
  readonly liar: () => Promise<WasmEngine>
}

export function supplyEngines(): Engines {
  return { honest: supplyEngine(), liar: supplyEngine() }
}

/** An honest run of a model, a referee with a machine of its own, and a liar with an engine of its own. */
export async function setTamperingScene(model: TestModel, engines: Engines): Promise<TamperingScene> {
  const files: ModelFiles = model.load()
  const inputs = model.inputs(1)
  const engine = await engines.honest()
  const honestLane = openLane(files, engine)
  const referee = openLane(files, engine)
  const lie: Lie = { at: -1, isTold: false, random: createSamples(0) }
  const openLiar = async () => {
    const of = await engines.liar()
    return { of, lane: openLane(files, of, { wrap: (machine) => lyingMachine(machine, lie) }) }
  }
  let liarSeat = await openLiar()
  const honest = runParty(honestLane, inputs)
  const digests = inputDigests(honestLane.plan, inputs)
  return {
    async tamper(seed) {
      if (honest.operators.length === 0) return undefined
      const random = createSamples(seed)
      const place = honest.operators[random.integers(1, 0, honest.operators.length)[0]!]!
      Object.assign(lie, { at: place.run, isTold: false, random } satisfies Lie)
      if (liarSeat.of.isSpent()) liarSeat = await openLiar()
      const liar = tryParty(liarSeat.lane, inputs, place.index)
      if (liar === undefined || !lie.isTold) return undefined
      const startedAt = performance.now()
      const judged = judge({ plan: referee.plan, inputs: digests, left: liar.party, right: honest.party })
      const rerun = (judgement: typeof judged.left) => {
        if (judgement.status !== 'needs-execution') return undefined
        // Up to here both are alike, so that both hand out the same operands.
        return referee.executor.runStep(judgement.position, judgement.operands, liar.payload!).outputs
      }
      const [accused, other] = [
        settle(judged.left, rerun(judged.left)),
        settle(judged.right, rerun(judged.right)),
      ]
      const refereeMs = performance.now() - startedAt
      const leaves = [liar, honest].flatMap(({ party }) => party.leaves)
      return {
        model: model.name,
        operator: place.operator,
        index: place.index,
        position: place.position,
        divergence: judged.divergence,
        liar: accused,
        honest: other,
        refereeMs,
        bytes: leaves.reduce((sum, leaf) => sum + leaf.byteLength, 0) + 2 * (liar.payload?.byteLength ?? 0),
      }
    },
  }
}

/** Whether the liar was pinned to the very step, and nobody else to anything. */
export function isPinned({ liar, honest, index, position, divergence }: TamperedRun): boolean {
  return (
    divergence === index &&
    honest.status === 'clear' &&
    liar.status === 'guilty' &&
    liar.violation.kind === 'execution' &&
    liar.violation.index === index &&
    liar.violation.position === position
  )
}

/** Digests of the inputs in the plan's order. */
export function inputDigests({ inputs: names }: Plan, inputs: readonly Tensor[]): InputDigests {
  return names.map((name) => {
    const { dtype, dims, data } = inputs.find((input) => input.name === name)!
    return digestValue(canonicalValue({ dtype, dims, data }))
  })
}

interface RanParty {
  readonly party: Party
  /** Leaves of steps that were executed: which leaf, and the how many-th execution. */
  readonly operators: readonly { index: number; position: string; operator: string; run: number }[]
  /** Operands of the leaf that was asked for. */
  readonly payload: Uint8Array | undefined
}

/** As one of two parties to a dispute would. */
export function runParty(lane: Lane, inputs: readonly Tensor[], wanted = -1): RanParty {
  const leaves: Uint8Array[] = []
  const operators: { index: number; position: string; operator: string; run: number }[] = []
  let payload: Uint8Array | undefined
  const outputs = lane.walk(inputs, ({ leaf, phase, step, payload: read }) => {
    if (leaves.length === wanted) payload = read()
    if (phase === 'run') {
      const { position } = leaf
      operators.push({ index: leaves.length, position, operator: step.type, run: operators.length })
    }
    leaves.push(encodeLeaf(leaf))
  })
  const given = outputs.map(({ name, ...value }) => ({ name, digest: digestValue(value) }))
  return { party: { leaves, outputs: given }, operators, payload }
}

function tryParty(lane: Lane, inputs: readonly Tensor[], wanted: number): RanParty | undefined {
  try {
    return runParty(lane, inputs, wanted)
  } catch (error) {
    // An index out of range, a shape that does not fit, a length without end: the lie ended the liar's own run.
    if (error instanceof RuntimeError) return undefined
    throw error
  }
}

interface Lie {
  /** The execution to lie about, counted from 0. */
  at: number
  /** Whether there was an element to change. */
  isTold: boolean
  random: SampleSource
}

/** Changes one element of one output by the least that it can be changed. */
function lyingMachine(machine: Machine<WasmValue>, lie: Lie): Machine<WasmValue> {
  return {
    ...machine,
    run(step, operands) {
      const outputs = machine.run(step, operands)
      if (lie.at-- !== 0) return outputs
      const places = outputs.flatMap((output, index) => (output === undefined ? [] : [index]))
      const place = places[lie.random.integers(1, 0, places.length)[0]!]!
      const honest = outputs[place]!
      const changed = changeElement(machine.read(honest), lie.random)
      if (changed === undefined) return outputs
      lie.isTold = true
      machine.release(honest)
      return outputs.with(place, machine.write(changed))
    },
  }
}

/** By one unit in the last place, or by one; undefined where there is nothing but NaN, or nothing at all. */
export function changeElement(value: Value, random: SampleSource): Value | undefined {
  const count = value.dims.reduce((all, dim) => all * dim, 1)
  if (count === 0) return undefined
  const bytes = value.data.byteLength / count
  const first = random.integers(1, 0, count)[0]!
  for (let step = 0; step < Math.min(count, 64); step++) {
    const at = ((first + step) % count) * bytes
    const data = new Uint8Array(value.data)
    if (value.dtype === 'bool') data[at]! ^= 1
    else increment(data, at, bytes)
    const changed = canonicalValue({ ...value, data })
    // The neighbour of infinity is NaN, and that of a NaN the same NaN again.
    if (Buffer.compare(changed.data, value.data) !== 0) return changed
  }
  return undefined
}

/** Of the little-endian bits: for a float the next one away from zero. */
function increment(data: Uint8Array, at: number, bytes: number): void {
  for (let byte = at; byte < at + bytes; byte++) {
    data[byte] = (data[byte]! + 1) & 0xff
    if (data[byte] !== 0) return
  }
}

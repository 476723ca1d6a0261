/** What a dispute costs at each step that it could be about: time to run it alone, and bytes that travel. */
import { createWasmEngine } from '../../models/runtime/wasm-engine.ts'
import { encodeLeaf } from '../../models/trace/index.ts'
import { openLane } from '../../test/exact/lane.ts'
import { percentile, spread } from '../statistics.ts'
import type { Subject } from './subjects.ts'

export interface StepsRow {
  readonly model: string
  readonly steps: number
  readonly leafBytes: number
  readonly operandBytes: Percentiles
  /** The engine warm, the operator new to it, as in a dispute. */
  readonly firstMs: Percentiles
  /** The operator's session kept from the run before: the middle one of three runs. */
  readonly againMs: Percentiles
  readonly slowest: string
  /** Steps that gave something else than their leaf says. */
  readonly failures: number
}

export interface Percentiles {
  readonly p50: number
  readonly max: number
}

const AGAIN_RUNS = 3

export async function measureSteps({ model, inputs }: Subject): Promise<StepsRow> {
  const files = model.load()
  const provider = openLane(files, await createWasmEngine())
  const referee = openLane(files, await createWasmEngine())
  const [operandBytes, firstMs, againMs]: number[][] = [[], [], []]
  let [leafBytes, failures, slowestMs, slowest] = [0, 0, 0, '']
  provider.walk(inputs, ({ leaf, step, payload: read }) => {
    const payload = read()
    leafBytes += encodeLeaf(leaf).byteLength
    operandBytes!.push(payload.byteLength)
    const first = referee.executor.runStep(leaf.position, leaf.operands, payload)
    const again = Array.from({ length: AGAIN_RUNS }, () =>
      referee.executor.runStep(leaf.position, leaf.operands, payload),
    )
    firstMs!.push(first.serviceMs)
    againMs!.push(spread(again.map(({ serviceMs }) => serviceMs)).median)
    if (first.serviceMs > slowestMs) [slowestMs, slowest] = [first.serviceMs, step.type]
    for (const { outputs } of [first, ...again]) {
      if (outputs.some((digest, at) => Buffer.compare(digest, leaf.outputs[at]!) !== 0)) failures++
    }
  })
  return {
    model: model.name,
    steps: firstMs!.length,
    leafBytes,
    operandBytes: percentiles(operandBytes!),
    firstMs: percentiles(firstMs!),
    againMs: percentiles(againMs!),
    slowest,
    failures,
  }
}

export function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b)
  return { p50: percentile(sorted, 0.5), max: sorted.at(-1) ?? Number.NaN }
}

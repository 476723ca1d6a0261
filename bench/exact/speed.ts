/** The exact lane, plain and traced, against onnxruntime-node on one thread: pairs side by side, so that a busy machine is busy for both. */
import { createWasmEngine } from '../../models/runtime/wasm-engine.ts'
import { encodeTensors } from '../../models/tensor/index.ts'
import { openLane } from '../../test/exact/lane.ts'
import { openNative } from '../../test/exact/native.ts'
import { type Spread, spread } from '../statistics.ts'
import type { Subject } from './subjects.ts'

export interface SpeedRow {
  readonly model: string
  readonly leaves: number
  /** Milliseconds of one run. */
  readonly native: Spread
  readonly plain: Spread
  readonly traced: Spread
  /** Of the rounds, each divided by the native run beside it. */
  readonly plainRatio: Spread
  readonly tracedRatio: Spread
}

/** Runs before the first that counts: sessions are made then, and code is compiled. */
const WARM_UP = 2
/** A window holds as many runs as fit, at least one. */
const WINDOW_MS = 150

export async function measureSpeed({ model, inputs }: Subject, rounds: number): Promise<SpeedRow> {
  const files = model.load()
  const native = await openNative(files, 1)
  const { executor } = openLane(files, await createWasmEngine())
  const payload = encodeTensors(inputs)
  const ways = {
    native: () => native.run(inputs),
    plain: async () => executor.run(inputs),
    traced: async () => executor.trace(payload),
  }
  const leaves = executor.trace(payload).leaves.length
  for (let run = 0; run < WARM_UP; run++) for (const way of Object.values(ways)) await way()
  const times: Record<keyof typeof ways, number[]> = { native: [], plain: [], traced: [] }
  for (let round = 0; round < rounds; round++) {
    for (const way of ['native', 'plain', 'traced'] as const) times[way].push(await timeOf(ways[way]))
  }
  await native.release()
  const ratio = (way: keyof typeof ways) => spread(times[way].map((ms, at) => ms / times.native[at]!))
  return {
    model: model.name,
    leaves,
    native: spread(times.native),
    plain: spread(times.plain),
    traced: spread(times.traced),
    plainRatio: ratio('plain'),
    tracedRatio: ratio('traced'),
  }
}

/** Mean milliseconds of one run within a window. */
async function timeOf(run: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  let runs = 0
  let elapsed = 0
  while (runs === 0 || elapsed < WINDOW_MS) {
    await run()
    runs++
    elapsed = performance.now() - startedAt
  }
  return elapsed / runs
}

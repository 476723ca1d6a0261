/**
 * The process that replays: see `replay.ts`. Steps run from the last to the first, so that no step profits from another's, in
 * a heap full of rubbish: an operator that reads what it has not written gives something else there.
 */
import type { WasmEngine } from '../../models/runtime/wasm-engine.ts'
import { openLane, supplyEngine } from './lane.ts'
import type { ReplayAnswer, ReplayRequest } from './replay.ts'

const supply = supplyEngine()

process.on('message', async (request: ReplayRequest) => {
  process.send?.(await replay(request))
})

async function replay({ id, model, files, steps, isTimed }: ReplayRequest): Promise<ReplayAnswer> {
  const engine = await supply()
  const failures: string[] = []
  const coldMs: number[] = []
  const warmMs: number[] = []
  const { executor } = openLane({ model, files }, engine, isTimed ? {} : { sessionBytesMax: 0 })
  for (const { position, operands, outputs, payload } of steps.toReversed()) {
    soil(engine, coldMs.length)
    try {
      const run = executor.runStep(position, operands, payload)
      coldMs.push(run.serviceMs)
      if (isTimed) warmMs.push(executor.runStep(position, operands, payload).serviceMs)
      if (run.outputs.map(hex).join() !== outputs.map(hex).join()) failures.push(`${position}: other outputs`)
    } catch (error) {
      failures.push(`${position}: ${(error as Error).message}`)
    }
  }
  return { id, steps: steps.length, failures, coldMs: coldMs.reverse(), warmMs: warmMs.reverse() }
}

/** Leaves rubbish in what is free, in pieces of all the sizes that small tensors have. */
function soil(into: WasmEngine, turn: number): void {
  const pieces = SOILED_BYTES.map((bytes) =>
    into.write({ dtype: 'uint8', dims: [bytes], data: new Uint8Array(bytes).fill(0x7f ^ (turn * 29)) }),
  )
  for (const piece of pieces) into.release(piece)
}

const SOILED_BYTES = [4, 12, 28, 60, 124, 252, 508, 1020, 4092, 16_380, 65_532]

function hex(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex')
}

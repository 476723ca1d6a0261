/** The process that replays: see `replay.ts`. Steps run from the last to the first, so that no step profits from another's. */
import { createWasmEngine } from '../../models/runtime/wasm-engine.ts'
import { openLane } from './lane.ts'
import type { ReplayAnswer, ReplayRequest } from './replay.ts'

/** What an engine has once used it does not give back. */
const HEAP_BYTES_KEPT = 1024 ** 3

let engine = await createWasmEngine()

process.on('message', async (request: ReplayRequest) => {
  process.send?.(await replay(request))
})

async function replay({ id, model, files, steps, isTimed }: ReplayRequest): Promise<ReplayAnswer> {
  if (engine.isSpent() || engine.heapBytes() > HEAP_BYTES_KEPT) engine = await createWasmEngine()
  const failures: string[] = []
  const coldMs: number[] = []
  const warmMs: number[] = []
  const { executor } = openLane({ model, files }, engine, isTimed ? {} : { sessionBytesMax: 0 })
  for (const { position, operands, outputs, payload } of steps.toReversed()) {
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

function hex(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex')
}

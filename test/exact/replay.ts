/** Steps of one process's traces, executed again, each alone, in another process that has run nothing else. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { ModelFiles } from './models/index.ts'

/** A step as it was traced. */
export interface TracedStep {
  readonly position: string
  readonly operands: readonly Uint8Array[]
  readonly outputs: readonly Uint8Array[]
  /** What is neither constant nor absent, as `operands` of an ExactRuntime gives it. */
  readonly payload: Uint8Array
}

export interface Replayed {
  readonly steps: number
  /** One line for each step that did not give its leaf's digests. */
  readonly failures: readonly string[]
  /** How long each step took, in the order of execution: the first time, and, if asked for, once more with its session kept. */
  readonly coldMs: readonly number[]
  readonly warmMs: readonly number[]
}

export interface ReplayRequest {
  readonly id: number
  readonly model: Uint8Array
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly steps: readonly TracedStep[]
  readonly isTimed: boolean
}

export interface ReplayAnswer extends Replayed {
  readonly id: number
}

export interface Replayer {
  replay(model: ModelFiles, steps: readonly TracedStep[], isTimed?: boolean): Promise<Replayed>
  close(): Promise<void>
}

/** Starts a process for replays. One that dies rejects what it was asked. */
export function startReplayer(): Replayer {
  const child: ChildProcess = fork(new URL('replayer.ts', import.meta.url), {
    serialization: 'advanced',
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  })
  const waiting = new Map<number, { resolve(answer: Replayed): void; reject(error: Error): void }>()
  let next = 0
  child.on('message', (answer: ReplayAnswer) => {
    waiting.get(answer.id)?.resolve(answer)
    waiting.delete(answer.id)
  })
  child.on('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`the replayer ended: ${code ?? signal}`))
  })
  return {
    replay({ model, files }, steps, isTimed = false) {
      const id = next++
      const answer = new Promise<Replayed>((resolve, reject) => waiting.set(id, { resolve, reject }))
      child.send({ id, model, files, steps, isTimed } satisfies ReplayRequest)
      return answer
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.disconnect()
      await exit
    },
  }
}

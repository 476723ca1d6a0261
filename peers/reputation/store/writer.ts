import { Worker } from 'node:worker_threads'
import { ReputationError, type ReputationErrorCode } from '../errors.ts'
import type { WriterAnswer, WriterAsk, WriterData } from './worker.ts'

/** The thread that writes, as the rest of the process sees it. It is started when it is first asked. */
export interface Writer {
  /** One at a time. Rejects with ReputationError; the next may succeed. */
  ask(
    ask: Exclude<WriterAsk, { type: 'close' }>,
  ): Promise<Extract<WriterAnswer, { type: 'done' | 'begunAnew' }>>
  /** Has it close the database, and ends it, after `timeoutMs` whatever it is at. Never rejects. */
  close(timeoutMs: number): Promise<void>
}

export function createWriter(data: WriterData): Writer {
  let worker: Worker | undefined

  function start(): Worker {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const started = new Worker(new URL(`./worker.${extension}`, import.meta.url), { workerData: data })
    // A process that has nothing else to do need not live for it.
    started.unref()
    started.once('exit', () => {
      if (worker === started) worker = undefined
    })
    return started
  }

  function answerOf(asked: Worker, ask: WriterAsk): Promise<WriterAnswer> {
    return new Promise((resolve, reject) => {
      const gone = (why: string, cause?: unknown) =>
        end(() =>
          reject(new ReputationError('unavailable', `the thread that writes ended: ${why}`, { cause })),
        )
      const onMessage = (answer: WriterAnswer) => end(() => resolve(answer))
      const onError = (error: unknown) => gone(error instanceof Error ? error.message : String(error), error)
      const onExit = (code: number) => gone(`exit code ${code}`)
      const end = (settle: () => void) => {
        asked.off('message', onMessage).off('error', onError).off('exit', onExit)
        asked.unref()
        settle()
      }
      asked.on('message', onMessage).on('error', onError).on('exit', onExit)
      // Whoever waits for the answer keeps the process.
      asked.ref()
      asked.postMessage(ask)
    })
  }

  return {
    async ask(ask) {
      worker ??= start()
      const answer = await answerOf(worker, ask)
      switch (answer.type) {
        case 'done':
        case 'begunAnew':
          return answer
        case 'failed':
          throw new ReputationError(answer.code as ReputationErrorCode, answer.message)
        case 'closed':
          throw new ReputationError('unavailable', 'the database was closed')
        default:
          return answer satisfies never
      }
    },
    async close(timeoutMs) {
      const closing = worker
      if (closing === undefined) return
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs)
      })
      // What went wrong at the end is as good as done.
      await Promise.race([answerOf(closing, { type: 'close' }).catch(() => undefined), late])
      clearTimeout(timer)
      await closing.terminate()
    },
  }
}

/** What is remembered of answers in case a key on whose word they rest is exposed later. */
import { ANSWERS_MAX } from '../verification/index.ts'
import { RECHECKED_JOBS_MAX } from './constants.ts'

/** An answer of this node that rests on the word of others. */
export interface RestingAnswer {
  readonly jobId: string
  readonly model: string
  /** Whose word it rests on. */
  readonly agreed: readonly string[]
  /** The tolerance of the job. */
  readonly tau: number
  /** Where its bundle lies, if one was kept. */
  readonly bundle: string | undefined
}

export interface ReceiptIndex {
  /** Remembers an answer; the oldest one goes where there is no room. False where it could not be remembered here. */
  add(answer: RestingAnswer): boolean
  /** Everybody on whose word something rests. */
  providers(): readonly string[]
  restingOn(provider: string): readonly RestingAnswer[]
  /** Takes an answer to check it again; false where it is gone, or somebody else has it. */
  claim(jobId: string): boolean
  /** Gives it back; with `tried`, after an attempt that may end better another time. It is given up after a few. */
  release(jobId: string, options: { readonly tried: boolean }): void
  /** It was checked again: nothing need be remembered any more. */
  remove(jobId: string): void
  close(): void
}

/** Remembers as long as the process lives. What it gives back after an attempt is forgotten. */
export function createMemoryIndex(): ReceiptIndex {
  const answers = new Map<string, RestingAnswer>()
  const claimed = new Set<string>()
  return {
    add(answer) {
      answers.set(answer.jobId, answer)
      const [oldest] = answers.keys()
      if (answers.size > RECHECKED_JOBS_MAX && oldest !== undefined) answers.delete(oldest)
      return true
    },
    providers: () => [...new Set([...answers.values()].flatMap(({ agreed }) => agreed))],
    restingOn: (provider) => [...answers.values()].filter(({ agreed }) => agreed.includes(provider)),
    claim(jobId) {
      if (!answers.has(jobId) || claimed.has(jobId)) return false
      claimed.add(jobId)
      return true
    },
    release(jobId, { tried }) {
      claimed.delete(jobId)
      if (tried) answers.delete(jobId)
    },
    remove(jobId) {
      claimed.delete(jobId)
      answers.delete(jobId)
    },
    close() {
      answers.clear()
    },
  }
}

/** Whether an answer is one that an index takes: a job has at most so many providers, and paths and names have an end. */
export function isRestingAnswer({ jobId, model, agreed, tau, bundle }: RestingAnswer): boolean {
  const texts = [model, ...agreed, ...(bundle === undefined ? [] : [bundle])]
  return (
    JOB_ID.test(jobId) &&
    agreed.length <= ANSWERS_MAX &&
    Number.isFinite(tau) &&
    tau >= 0 &&
    texts.every((text) => text !== '' && text.length <= TEXT_MAX) &&
    !agreed.some((provider) => provider.includes(' '))
  )
}

const JOB_ID = /^[0-9a-f]{64}$/
/** PATH_MAX of Linux; addresses and peer ids are shorter. */
const TEXT_MAX = 4_096

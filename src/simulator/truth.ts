/**
 * What is true of simulated answers and traces. Nothing is computed: an answer is right, near (honest, but outside the
 * tolerance), or a lie, and the comparison and the referee know which. A trace is a run of steps in which a liar's own false
 * one stands out, as it does for the real referee, who judges each party by its own statement.
 */
import type { Judgement } from '../requester/index.ts'

/** What an answer is. Two answers agree exactly where `value` is equal. */
export interface Answer {
  /** `right`, or something that names what was answered instead. */
  readonly value: string
  readonly digest: string
  /** Honest, and outside the tolerance of its own exact run, though near it. */
  readonly near: boolean
}

export const RIGHT = 'right'

/** An honest answer: its last bits are those of the processor class, so that digests of classes differ. */
export function rightAnswer(processorClass: number): Answer {
  // One for all: a million of them are kept for re-checks.
  rightAnswers[processorClass] ??= { value: RIGHT, digest: `right ${processorClass}`, near: false }
  return rightAnswers[processorClass]
}
const rightAnswers: Answer[] = []

export function nearAnswer(provider: string): Answer {
  return { value: `near ${provider}`, digest: `near ${provider}`, near: true }
}

export function lie(value: string): Answer {
  return { value: `lie ${value}`, digest: `lie ${value}`, near: false }
}

export function isWrong({ value, near }: Answer): boolean {
  return value !== RIGHT && !near
}

/** Equal exactly where whole traces are equal. A lying trace fits the answer of whoever tells it. */
export function rootOf(answer: Answer, isLying: boolean): string {
  return isLying ? `false ${answer.value}` : 'true'
}

/** The referee on one side, by its own trace alone. */
export function judgeRoot(root: string): Judgement {
  return root === 'true' ? { status: 'cleared' } : { status: 'guilty', kind: 'execution' }
}

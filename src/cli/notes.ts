/** What a person is told beside an answer: what could have been had, and how. */
import type { Verdict } from '../verification/index.ts'
import { addCommand } from './model-address.ts'
import type { AskOptions } from './options.ts'

/** All of them about a job, or the jobs of a task, about `model`. */
export function askNotes(
  options: AskOptions,
  model: string,
  holdsModel: boolean,
  verdicts: readonly Verdict[],
): string[] {
  const notes = [
    fewerNote(options, verdicts),
    countedNote(options, model, holdsModel),
    canaryNote(options, model, holdsModel),
  ]
  return notes.filter((note) => note !== undefined)
}

/** What a person is told who wanted more providers than there were. */
function fewerNote({ replicas }: AskOptions, verdicts: readonly Verdict[]): string | undefined {
  const fewer = verdicts.filter(({ asked }) => asked < (replicas ?? 0))
  if (fewer.length === 0) return undefined
  const asked = Math.min(...fewer.map((verdict) => verdict.asked))
  const where = verdicts.length === 1 ? '' : ` in ${fewer.length} of ${verdicts.length} jobs`
  const rest = fewer.some(({ label }) => label === 'recomputed') ? '; the rest was computed here' : ''
  return `only ${asked} of ${replicas} providers could be asked${where}${rest}`
}

/** What a person is told whose disagreements were counted because nobody here can judge them. */
function countedNote(options: AskOptions, model: string, holdsModel: boolean): string | undefined {
  if (holdsModel || options.policy !== undefined || options.replicas === 1) return undefined
  if (options.risk !== undefined)
    return `answers that differ are weighed by the records of those who give them, since this machine does not hold the model; with it, it runs such a job itself: ${addCommand(model, options.data)}`
  return `votes were counted, since this machine does not hold the model; with it, a referee decides: ${addCommand(model, options.data)}`
}

/** What a person is told whose canaries cannot be sent. */
function canaryNote({ canary, data }: AskOptions, model: string, holdsModel: boolean): string | undefined {
  if (holdsModel || canary === undefined || canary === 0) return undefined
  return `no canaries were sent: who sends one has to be able to judge, which takes the model: ${addCommand(model, data)}`
}

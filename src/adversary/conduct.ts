/**
 * How a simulated provider behaves, honest or not: what it answers, what it traces, what it says of itself. Pure: what is
 * random comes from a generator that is handed in, and what it remembers lies in the conduct itself.
 */
import type { Random } from '../routing/index.ts'

/** Whom it faces. What a real provider could see of a job, and nothing that it could not. */
export interface FacedJob {
  /** Hex of the job commitment: new for every job, also where the input is the same. */
  readonly jobId: string
  /** What the input is: the same when the same question is asked again. */
  readonly content: number
  readonly requester: string
  readonly model: string
  readonly nowMs: number
}

/** What it answers in the native lane. */
export type NativeAnswer =
  | { readonly kind: 'right' }
  /** Wrong, far beyond the tolerance. Two lies are the same answer exactly where `lie` is equal. */
  | { readonly kind: 'lie'; readonly lie: string }
  /** Takes the job and never answers. */
  | { readonly kind: 'silent' }
  /** Breaks down while it works on it: the connection closes, and the node is gone until it comes back. */
  | { readonly kind: 'crash' }
  /** Has another provider answer it and passes that on as its own. */
  | { readonly kind: 'forward' }
  /** Waits for what another replica of the same job answers and repeats it; lies `lie` where it can see none. */
  | { readonly kind: 'copy'; readonly lie: string }
  /** Two receipts with different answers for one job in the exact lane: a proof of equivocation. */
  | { readonly kind: 'equivocate'; readonly lie: string }

/** How it traces an answer that is disputed. */
export type TraceConduct =
  /** Runs the exact lane and signs what came of it, whatever it answered. */
  | 'honest'
  /** Signs a trace that fits its lie. Its first false leaf is its own statement. */
  | 'lying'
  /** Says nothing, though it answers pings. */
  | 'withheld'
  /** Signed refusals, which are no loss. */
  | 'busy'
  | 'cannot-trace'

export interface Conduct {
  /** Whether everything it signs is true: whom no checker may ever see condemned. */
  readonly honest: boolean
  answer(job: FacedJob, random: Random): NativeAnswer
  /** Asked only for a job that it answered; `answered` is what it answered then. */
  trace(job: FacedJob, answered: NativeAnswer, random: Random): TraceConduct
  /** Its service time is multiplied by this; left out, 1. */
  serviceFactor?(job: FacedJob, random: Random): number
  /** What it announces in place of its real load, as a factor on queue and service time; left out, the truth. */
  readonly announcedFactor?: number
  /** Told that its key was exposed: a fresh key is the only thing left to it. True to come back with a new one. */
  readonly whitewashes?: boolean
}

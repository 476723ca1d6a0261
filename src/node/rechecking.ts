/**
 * When a provider is found out, whatever rested on its word is in doubt. Every such answer of this node is computed again, one
 * after the other and behind everything else, and its owner is told what came of it; unless the word of the others who gave it
 * is enough for the risk that the owner accepted.
 */
import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { replaceFile } from '../../peers/files/index.ts'
import { BUNDLE_BYTES_MAX, type Bundle, decodeBundle } from '../../protocols/receipt/index.ts'
import { compareTensorsGradually, type Verdict } from '../verification/index.ts'
import { RECHECKED_JOBS_MAX } from './constants.ts'
import { contradictionTau } from './contradiction.ts'
import type { Log } from './log.ts'
import { RECHECK_SUFFIX } from './places.ts'
import { createMemoryIndex, type ReceiptIndex, type RestingAnswer } from './receipt-index.ts'

/** What came of an answer that rested on a provider that was found out later. */
export interface Recheck {
  readonly jobId: string
  readonly model: string
  /** Who was found out: proved to have lied, or so doubtful that it is shunned. */
  readonly provider: string
  /**
   * `confirmed` or `wrong`: it was computed again. `unchecked`: it could not be, for `reason`; the answer is to be
   * doubted.
   */
  readonly outcome: 'confirmed' | 'wrong' | 'unchecked'
  readonly reason: string
  /** The stored bundle, which has a mark beside it now, if one was kept. */
  readonly bundle: string | undefined
}

export interface SettledJob {
  readonly jobId: string
  readonly model: string
  readonly verdict: Verdict
  readonly tau: number
  readonly bundle: string | undefined
}

export interface Rechecking {
  /** A job has closed with an answer: remembered as long as there is room, the oldest goes first. */
  settled(job: SettledJob): void
  /** It was proved to have lied, or is shunned. */
  foundOut(provider: string): void
  /**
   * Checks what rests on the word of these, who were found out before: while no node ran, or by another process. What is
   * being checked by another process is left to that one.
   */
  resume(liars: readonly string[]): void
  /** Answers that wait to be checked again. */
  waiting(): number
  /** Resolves when nothing waits to be checked again. */
  idle(): Promise<void>
  /** Ends what is under way, to be taken up by the next process; what closes after that is still remembered. */
  stop(): void
  /** Nothing is remembered after this. */
  close(): void
}

export interface RecheckingComponents {
  /**
   * Gets the answer once more, without the exposed: from this machine's own exact lane where it holds the model, else
   * from the mesh. Payloads are canonical.
   */
  readonly again: (
    model: string,
    inputs: Uint8Array,
    signal: AbortSignal,
  ) => Promise<{ readonly outputs: Uint8Array; readonly by: string }>
  /** Remembers answers whose bundle was kept beyond the life of this process. */
  readonly index: ReceiptIndex
  /** Whether the word of those who were not found out, of these, is enough for the risk that the job's owner accepts. */
  readonly suffices: (jobId: string, model: string, providers: readonly string[]) => boolean
  readonly onRecheck: (recheck: Recheck) => void
  readonly log: Log
}

export function createRechecking(components: RecheckingComponents): Rechecking {
  const { again, index, suffices, onRecheck, log } = components
  /** Of answers without a bundle there is nothing to check, but somebody to tell while it is here. */
  const memory = createMemoryIndex()
  /** Who was found out, for answers that close after that; the oldest goes first. */
  const liars = new Set<string>()
  /** What waits, by job. */
  const queued = new Set<string>()
  const stopping = new AbortController()
  let work: Promise<void> = Promise.resolve()

  function enqueue(place: ReceiptIndex, answer: RestingAnswer, provider: string): void {
    if (stopping.signal.aborted || queued.has(answer.jobId)) return
    queued.add(answer.jobId)
    work = work
      .then(() => recheck(place, answer, provider))
      .catch((error: unknown) => log.error('an answer could not be checked again', { ...answer, error }))
      .finally(() => queued.delete(answer.jobId))
  }

  async function recheck(place: ReceiptIndex, answer: RestingAnswer, provider: string): Promise<void> {
    const { jobId, model, bundle } = answer
    if (stopping.signal.aborted || !place.claim(jobId)) return
    // By what is known now: others may have been found out while it waited for its turn.
    if (suffices(jobId, model, answer.agreed)) return place.release(jobId, { tried: false })
    const { mayPass = false, ...judged } = await judge(answer)
    // What came of it may be that this node stops: the next process takes it up.
    if (stopping.signal.aborted) return place.release(jobId, { tried: false })
    const found: Recheck = { jobId, model, provider, bundle, ...judged }
    log.warn('an answer rested on a provider that was found out', { ...found })
    if (bundle !== undefined) await mark(bundle, found, log)
    // Not before it is told: who ends in between tells it twice rather than never.
    if (mayPass) place.release(jobId, { tried: true })
    else place.remove(jobId)
    onRecheck(found)
  }

  async function judge(answer: RestingAnswer): Promise<Judged> {
    if (answer.bundle === undefined) return unchecked('no bundle of it was kept')
    let kept: Bundle
    try {
      kept = await readBundle(answer.bundle)
    } catch (error) {
      return unchecked(isMissing(error) ? 'its bundle is not there any more' : reasonOf(error))
    }
    const { job, inputs, outputs } = kept
    if (Buffer.from(job.commitment).toString('hex') !== answer.jobId)
      return unchecked('the bundle in its place is that of another job')
    if (inputs === undefined || outputs === undefined) return unchecked('its bundle holds only digests')
    try {
      const { outputs: fresh, by } = await again(answer.model, inputs, stopping.signal)
      const isWithin = (tau: number) => compareTensorsGradually(outputs, fresh, tau, () => turn())
      if (await isWithin(answer.tau)) {
        return { outcome: 'confirmed', reason: `${by} got the same within the tolerance` }
      }
      return (await isWithin(contradictionTau(answer.tau)))
        ? unchecked(`${by} got an answer near it, but not within the tolerance`)
        : { outcome: 'wrong', reason: `${by} got another answer: ask again` }
    } catch (error) {
      return { ...unchecked(reasonOf(error)), mayPass: true }
    }
  }

  return {
    settled({ jobId, model, verdict, tau, bundle }) {
      const { label, agreed } = verdict
      // What this machine ran itself rests on nobody.
      if (label === 'recomputed' || agreed.length === 0) return
      const place = bundle === undefined ? undefined : resolve(bundle)
      const answer: RestingAnswer = { jobId, model, agreed, tau, bundle: place }
      // Remembered first: this process may end before it has checked it.
      const remembered = place !== undefined && index.add(answer) ? index : memory
      if (remembered === memory) memory.add(answer)
      const liar = agreed.find((provider) => liars.has(provider))
      if (liar !== undefined) enqueue(remembered, answer, liar)
    },
    foundOut(provider) {
      liars.add(provider)
      const [first] = liars
      if (liars.size > RECHECKED_JOBS_MAX && first !== undefined) liars.delete(first)
      for (const answer of memory.restingOn(provider)) enqueue(memory, answer, provider)
      for (const answer of index.restingOn(provider)) enqueue(index, answer, provider)
    },
    resume(providers) {
      const known = new Set(providers)
      for (const provider of index.providers()) {
        if (!known.has(provider)) continue
        for (const answer of index.restingOn(provider)) enqueue(index, answer, provider)
      }
    },
    waiting: () => queued.size,
    async idle() {
      while (queued.size > 0) await work
    },
    stop: () => stopping.abort(new Error('the node stops')),
    close: () => index.close(),
  }
}

interface Judged extends Pick<Recheck, 'outcome' | 'reason'> {
  /** It could not be checked for a reason that may not be there another time. */
  readonly mayPass?: boolean
}

function unchecked(reason: string): Judged {
  return { outcome: 'unchecked', reason }
}

/** Throws what the file system says, or ReceiptError. */
async function readBundle(path: string): Promise<Bundle> {
  const { size } = await stat(path)
  if (size > BUNDLE_BYTES_MAX) throw new Error('what lies in its place is no bundle')
  return decodeBundle(await readFile(path))
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** The bundle itself is signed and stays as it is. */
async function mark(bundle: string, found: Recheck, log: Log): Promise<void> {
  const { provider, outcome, reason } = found
  // Beside what is not there any more nobody would find it.
  if (!existsSync(bundle)) return
  const text = JSON.stringify({ provider, outcome, reason }, undefined, 2)
  try {
    await replaceFile(`${bundle}${RECHECK_SUFFIX}`, Buffer.from(`${text}\n`), 0o600)
  } catch (error) {
    log.error('a bundle could not be marked', { bundle, error })
  }
}

/**
 * When a key is exposed, whatever rested on its word is in doubt. Every such answer of this node is computed again, one
 * after the other and behind everything else, and its owner is told what came of it.
 */
import { readFile } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { replaceFile } from '../../peers/files/index.ts'
import { decodeBundle } from '../../protocols/receipt/index.ts'
import { compareTensorsGradually, type Verdict } from '../verification/index.ts'
import { RECHECKED_JOBS_MAX } from './constants.ts'
import { contradictionTau } from './contradiction.ts'
import type { Log } from './log.ts'

/** What came of an answer that rested on a key that was exposed later. */
export interface Recheck {
  readonly jobId: string
  readonly model: string
  /** The exposed key that it rested on. */
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
  /** A proof against a key was verified. */
  exposed(provider: string): void
  /** Resolves when nothing waits to be checked again. */
  idle(): Promise<void>
  stop(): void
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
  readonly onRecheck: (recheck: Recheck) => void
  readonly log: Log
}

/** What is appended to a bundle's name for the mark beside it. */
export const RECHECK_SUFFIX = '.recheck.json'

export function createRechecking({ again, onRecheck, log }: RecheckingComponents): Rechecking {
  const jobs = new Map<string, SettledJob>()
  /** Keys that were exposed, for answers that close after that; the oldest goes first. */
  const exposedKeys = new Set<string>()
  const stopping = new AbortController()
  let work: Promise<void> = Promise.resolve()

  async function recheck(job: SettledJob, provider: string): Promise<void> {
    if (stopping.signal.aborted) return
    const { jobId, model, bundle } = job
    const found: Recheck = { jobId, model, provider, bundle, ...(await judge(job)) }
    log.warn('an answer rested on a key that was exposed', { ...found })
    if (bundle !== undefined) await mark(bundle, found, log)
    onRecheck(found)
  }

  async function judge(job: SettledJob): Promise<Pick<Recheck, 'outcome' | 'reason'>> {
    const unchecked = (reason: string) => ({ outcome: 'unchecked' as const, reason })
    if (job.bundle === undefined) return unchecked('no bundle of it was kept')
    try {
      const { inputs, outputs } = decodeBundle(await readFile(job.bundle))
      if (inputs === undefined || outputs === undefined) return unchecked('its bundle holds only digests')
      const { outputs: fresh, by } = await again(job.model, inputs, stopping.signal)
      const isWithin = (tau: number) => compareTensorsGradually(outputs, fresh, tau, () => turn())
      if (await isWithin(job.tau)) {
        return { outcome: 'confirmed', reason: `${by} got the same within the tolerance` }
      }
      return (await isWithin(contradictionTau(job.tau)))
        ? unchecked(`${by} got an answer near it, but not within the tolerance`)
        : { outcome: 'wrong', reason: `${by} got another answer: ask again` }
    } catch (error) {
      return unchecked(error instanceof Error ? error.message : String(error))
    }
  }

  return {
    settled(job) {
      // What this machine ran itself rests on nobody.
      if (job.verdict.label === 'recomputed') return
      const liar = job.verdict.agreed.find((provider) => exposedKeys.has(provider))
      if (liar !== undefined) {
        work = work.then(() => recheck(job, liar))
        return
      }
      jobs.set(job.jobId, job)
      const [oldest] = jobs.keys()
      if (jobs.size > RECHECKED_JOBS_MAX && oldest !== undefined) jobs.delete(oldest)
    },
    exposed(provider) {
      exposedKeys.add(provider)
      const [first] = exposedKeys
      if (exposedKeys.size > RECHECKED_JOBS_MAX && first !== undefined) exposedKeys.delete(first)
      for (const job of [...jobs.values()]) {
        if (!job.verdict.agreed.includes(provider)) continue
        jobs.delete(job.jobId)
        work = work.then(() => recheck(job, provider))
      }
    },
    idle: () => work,
    stop: () => stopping.abort(new Error('the node stops')),
  }
}

/** The bundle itself is signed and stays as it is. */
async function mark(bundle: string, found: Recheck, log: Log): Promise<void> {
  const { provider, outcome, reason } = found
  const text = JSON.stringify({ provider, outcome, reason }, undefined, 2)
  try {
    await replaceFile(`${bundle}${RECHECK_SUFFIX}`, Buffer.from(`${text}\n`), 0o600)
  } catch (error) {
    log.error('a bundle could not be marked', { bundle, error })
  }
}

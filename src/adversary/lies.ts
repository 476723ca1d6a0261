/** Which jobs are lied on, and with what: what most attackers share, whatever else sets them apart. */
import type { Random } from '../routing/index.ts'
import type { FacedJob } from './conduct.ts'
import { isPicked } from './content-hash.ts'

/** The lie told on this job; undefined where the right answer is given. Asked once for each job that is answered. */
export type Lies = (job: FacedJob, random: Random) => string | undefined

export interface OwnLiesInit {
  /** Unlike anybody else's: what keeps two who do not collude from telling one lie. */
  readonly name: string
  /** Share of jobs, from 0 to 1. */
  readonly rate: number
}

/** Decides for each job anew, also where the content is known, and never tells the same lie twice. */
export function ownLies({ name, rate }: OwnLiesInit): Lies {
  return ({ jobId }, random) => (random.next() < rate ? `${name}/${jobId}` : undefined)
}

export interface CommonLiesInit {
  /** The coalition's. Two coalitions of one seed pick the same jobs and tell different lies. */
  readonly name: string
  readonly seed: number
  /** Share of contents, from 0 to 1. */
  readonly rate: number
}

/** All who were given the same lie on the same contents and tell the same one: of a content always, on others never. */
export function commonLies({ name, seed, rate }: CommonLiesInit): Lies {
  return ({ content }) => (isPicked(seed, content, rate) ? `${name}/${content}` : undefined)
}

/** None on the first `honestJobs` jobs, counted by itself. Has a memory: one for each provider. */
export function afterHonestJobs(honestJobs: number, lies: Lies): Lies {
  let done = 0
  return (job, random) => {
    if (done >= honestJobs) return lies(job, random)
    done += 1
    return undefined
  }
}

/** None to anybody but `requester`. */
export function onlyTo(requester: string, lies: Lies): Lies {
  return (job, random) => (job.requester === requester ? lies(job, random) : undefined)
}

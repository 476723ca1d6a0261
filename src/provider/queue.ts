/**
 * The jobs that wait for one model. Requesters take turns, so that one that sends a hundred jobs at once does not
 * make another wait for all of them; the jobs of one requester keep their order.
 */
import type { Job } from './job.ts'

export interface JobQueue {
  readonly size: number
  countOf(requester: string): number
  push(job: Job): void
  remove(job: Job): void
  /**
   * Takes the job whose turn it is and those that can run with it, up to `jobsMax` jobs and `rowsMax` rows in all.
   * A job with more rows than that runs alone. Empty when nothing waits.
   */
  take(jobsMax: number, rowsMax: number): Job[]
  /** All that wait, in turn. */
  jobs(): Job[]
}

export function createQueue(): JobQueue {
  /** The requester whose turn it is comes first. */
  const lines = new Map<string, Job[]>()
  let size = 0

  const jobs = (): Job[] => {
    const all = [...lines.values()]
    const longest = all.reduce((length, line) => Math.max(length, line.length), 0)
    const order: Job[] = []
    for (let place = 0; place < longest; place++) {
      for (const line of all) if (place < line.length) order.push(line[place]!)
    }
    return order
  }

  const remove = (job: Job) => {
    const line = lines.get(job.requester)
    const place = line?.indexOf(job) ?? -1
    if (line === undefined || place < 0) return
    line.splice(place, 1)
    size -= 1
    if (line.length === 0) lines.delete(job.requester)
  }

  return {
    get size() {
      return size
    },
    countOf: (requester) => lines.get(requester)?.length ?? 0,
    push: (job) => {
      const line = lines.get(job.requester)
      if (line === undefined) lines.set(job.requester, [job])
      else line.push(job)
      size += 1
    },
    remove,
    take: (jobsMax, rowsMax) => {
      const [first, ...others] =
        jobsMax > 1 ? jobs() : [...lines.values()].slice(0, 1).flatMap((line) => line[0]!)
      if (first === undefined) return []
      const taken = [first]
      let { rows } = first
      for (const job of others) {
        if (taken.length >= jobsMax) break
        if (!sharesBatch(first, job) || rows + job.rows > rowsMax) continue
        taken.push(job)
        rows += job.rows
      }
      for (const job of taken) remove(job)
      // Whoever was served goes to the end.
      for (const requester of new Set(taken.map((job) => job.requester))) {
        const line = lines.get(requester)
        if (line === undefined) continue
        lines.delete(requester)
        lines.set(requester, line)
      }
      return taken
    },
    jobs,
  }
}

function sharesBatch(a: Job, b: Job): boolean {
  return a.batchKey !== '' && a.batchKey === b.batchKey && !a.alone && !b.alone
}

import { createSession } from '../session.ts'
import type { OpenTarget } from './target.ts'

/** The model called in the load generator's own process: no transport at all. */
export const openDirect: OpenTarget<'direct'> = async (spec, workload) => {
  const session = await createSession(workload, spec.threads)
  return {
    call: (payload) => session.run(payload, workload.input.dims),
    drain: async () => {},
    close: () => session.close(),
  }
}

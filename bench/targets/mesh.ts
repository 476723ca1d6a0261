import { setTimeout as delay } from 'node:timers/promises'
import { createLog, createNode, JobError, type JobResult } from '../../src/node/index.ts'
import { createPayloads } from '../workloads.ts'
import type { OpenTarget } from './target.ts'

/** A job must end even when the machine is slow; a failure is counted, not waited for. */
const JOB_TIMEOUT_MS = 20_000
/** From the first dial until the providers are known. */
const READY_TIMEOUT_MS = 20_000
const READY_POLL_MS = 50

/** A client's own node; every call is a signed job, every answer a verified receipt. */
export const openMesh: OpenTarget<'mesh'> = async (spec, workload) => {
  const node = await createNode({
    dataDirectory: spec.directory,
    listen: [],
    bootstrap: spec.bootstrap,
    mdns: false,
    exemptPrivateAddresses: true,
    log: createLog({ level: 'warn', json: false, write: (line) => console.error(line) }),
  })
  const { name, dims } = workload.input
  /** Jobs whose answer is known but whose other replicas still work. */
  const open = new Set<Promise<unknown>>()

  const submit = async (data: Uint8Array): Promise<JobResult> =>
    await node.submit({
      model: spec.model,
      inputs: [{ name, dtype: 'float32', dims, data }],
      replicas: spec.replicas,
      quorum: spec.quorum,
      timeoutMs: JOB_TIMEOUT_MS,
    })

  const [payload] = createPayloads(workload)
  await ready(() => submit(payload ?? new Uint8Array()))
  return {
    async call(payload) {
      const result = await submit(payload).catch(explain)
      const closed: Promise<unknown> = result.closed.finally(() => open.delete(closed))
      open.add(closed)
      const [output] = result.outputs
      if (output === undefined) throw new Error('a job without outputs')
      return output.data
    },
    async drain() {
      await Promise.all(open)
    },
    close: () => node.stop({ drainMs: 1_000 }),
  }
}

/** A job's own message says that nobody answered; what each provider said is what one wants to know here. */
function explain(error: unknown): never {
  if (!(error instanceof JobError)) throw error
  const attempts = error.failure.attempts.map(({ failure }) => JSON.stringify(failure))
  throw new Error(`${error.failure.code} ${attempts.join(', ')}`, { cause: error })
}

/** Asks until a first job has all its answers: a bench of a mesh that is still forming says nothing. */
async function ready(submit: () => Promise<JobResult>): Promise<void> {
  const endsAt = performance.now() + READY_TIMEOUT_MS
  for (;;) {
    try {
      await (await submit()).closed
      return
    } catch (error) {
      if (performance.now() > endsAt) throw error
      await delay(READY_POLL_MS)
    }
  }
}

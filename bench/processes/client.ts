import { prepareHeap } from '../../src/node/heap.ts'
import { type Checker, createChecker, type Load, runLoad } from '../load.ts'
import { floats } from '../session.ts'
import { openDirect } from '../targets/direct.ts'
import { openHttp } from '../targets/http.ts'
import type { Target, TargetSpec } from '../targets/target.ts'
import { createWireCounter } from '../wire.ts'
import { createPayloads, type Workload } from '../workloads.ts'
import { serveParent } from './channel.ts'

export type ClientRequest =
  | { readonly type: 'open'; readonly target: TargetSpec; readonly workload: Workload }
  /** Answers of the target to each payload, as the truth for the others: `Uint8Array[]`. */
  | { readonly type: 'answers' }
  /** Sets what is right. */
  | { readonly type: 'expect'; readonly answers: readonly Uint8Array[] }
  /** One window, answered by `Window`. */
  | { readonly type: 'load'; readonly load: Load }

// The same for every target, the baselines included.
prepareHeap()

const wire = createWireCounter()
let target: Target | undefined
let payloads: readonly Uint8Array[] = []
let tau = 0
let checker: Checker | undefined

serveParent<ClientRequest>(handle, async () => target?.close())

async function handle(request: ClientRequest): Promise<unknown> {
  switch (request.type) {
    case 'open':
      payloads = createPayloads(request.workload)
      tau = request.workload.tau
      target = await openTarget(request.target, request.workload)
      return undefined
    case 'answers': {
      const answers: Uint8Array[] = []
      for (const payload of payloads) answers.push(new Uint8Array(await opened(target).call(payload)))
      return answers
    }
    case 'expect':
      checker = createChecker(request.answers.map(floats), tau)
      return undefined
    case 'load':
      return await runLoad(opened(target), payloads, opened(checker), request.load, wire)
  }
}

async function openTarget(spec: TargetSpec, workload: Workload): Promise<Target> {
  switch (spec.kind) {
    case 'direct':
      return openDirect(spec, workload)
    case 'http':
      return openHttp(spec, workload)
    case 'mesh': {
      // Loaded only here: the other clients need not carry a whole node in their memory.
      const { openMesh } = await import('../targets/mesh.ts')
      return openMesh(spec, workload)
    }
  }
}

function opened<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the client was asked to work before it was opened')
  return value
}

/** What one hostile provider can do to a requester and its job: nodes on loopback, with real libp2p. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Manifest } from '../../models/manifest/index.ts'
import { createStubRuntime } from '../../models/runtime/index.ts'
import { createMemoryModelStore } from '../../models/store/index.ts'
import { digestTensors, encodeTensors, float32Tensor, type Tensor } from '../../models/tensor/index.ts'
import { loadOrCreateIdentity } from '../../peers/identity/index.ts'
import { createSigner } from '../../protocols/envelope/index.ts'
import type { IncomingInference, InferenceAnswer } from '../../protocols/inference/index.ts'
import { openReceipt, type Receipt, sealReceipt, verifyBundle } from '../../protocols/receipt/index.ts'
import { JobError, type VerimeshNode } from '../../src/node/index.ts'
import { scratchDirectory, startNode, stopNodes, untilKnown } from '../fixtures/nodes.ts'

const SIGNATURE: Manifest['signature'] = {
  inputs: [{ name: 'x', dtype: 'float32', dims: ['n'] }],
  outputs: [{ name: 'y', dtype: 'float32', dims: ['n', 2] }],
}
const INPUT = float32Tensor('x', [2], new Float32Array([1, -2]))
const OUTPUT = float32Tensor('y', [2, 2], new Float32Array([1, 2, 3, 4]))

/** What a provider makes of its honest answer; the receipt over it is signed as it should be. */
interface Lie {
  readonly outputs?: Uint8Array
  readonly receipt?: (receipt: Receipt) => Receipt
  readonly delayMs?: number
}

const store = createMemoryModelStore()
const lies = new Map<string, Lie>()
const evidence: { provider: string; evidence: string }[] = []
let hostile: VerimeshNode
let honest: readonly VerimeshNode[]
let requester: VerimeshNode

test.before(async () => {
  const first = await startProvider()
  honest = [first, await startProvider(first)]
  hostile = await startProvider(first, true)
  requester = await startNode({
    bootstrap: [first],
    listen: [],
    parts: {
      store: createMemoryModelStore(),
      observeMs: 2_000,
      requesterLimits: { patienceMs: 300 },
      onEvidence: (_job, provider, kind) => void evidence.push({ provider, evidence: kind }),
    },
  })
})
test.after(stopNodes)

const GARBAGE: readonly [what: string, outputs: Uint8Array][] = [
  ['no payload at all', new Uint8Array([1])],
  ['a payload that is cut short', encodeTensors([OUTPUT]).subarray(0, -8)],
  ['an output of another name', encodeTensors([{ ...OUTPUT, name: 'z' }])],
  ['an output that the model does not have', encodeTensors([OUTPUT, { ...OUTPUT, name: 'z' }])],
  ['no output', encodeTensors([])],
  ['another element type', encodeTensors([{ ...OUTPUT, dtype: 'int32' } as Tensor])],
]
/** Of these a false declaration in the model's own file may be the cause. */
const MISSHAPEN: typeof GARBAGE = [
  ['another rank', encodeTensors([{ ...OUTPUT, dims: [4] }])],
  ['another fixed dimension', encodeTensors([{ ...OUTPUT, dims: [1, 4] }])],
]

for (const [what, outputs] of [...GARBAGE, ...MISSHAPEN]) {
  test(`a lone provider that signs ${what} fails the job, and nothing else`, async () => {
    const cid = await provided(`alone: ${what}`, [hostile])
    lies.set(cid, { outputs })
    try {
      await requester.submit({ model: cid, inputs: [INPUT], replicas: 1, timeoutMs: 5_000 })
      assert.unreachable()
    } catch (error) {
      assert.instance(error, JobError)
      assert.match((error as JobError).failure.attempts[0]?.failure.message ?? '', /output|payload/)
    }
  })
}

test('a provider among others that signs garbage spoils neither the answer nor the record', async () => {
  for (const [what, outputs] of [...GARBAGE, ...MISSHAPEN]) {
    const cid = await provided(`among others: ${what}`, [...honest, hostile])
    lies.set(cid, { outputs })
    evidence.length = 0
    const result = await requester.submit({ model: cid, inputs: [INPUT], replicas: 3, timeoutMs: 5_000 })
    assert.equal(Buffer.compare(encodeTensors(result.outputs), encodeTensors([OUTPUT])), 0, what)
    const { verdict } = await result.closed
    assert.equal(verdict.agreed, honest.map(({ peerId }) => peerId).sort(), what)
    const against = evidence.filter((entry) => entry.evidence !== 'agreed')
    const expected = { provider: hostile.peerId, evidence: 'violated-protocol' }
    assert.equal(against, GARBAGE.some(([garbage]) => garbage === what) ? [expected] : [], what)
  }
})

test('a receipt of another lane than the job asked for does not spoil the bundle', async () => {
  const cid = await provided('another lane', [...honest, hostile])
  lies.set(cid, { receipt: (receipt) => ({ ...receipt, runtime: { ...receipt.runtime, lane: 'exact' } }) })
  const bundleDirectory = await scratchDirectory()
  const result = await requester.submit({ model: cid, inputs: [INPUT], replicas: 3, bundleDirectory })
  const { bundle, verdict } = await result.closed
  assert.equal(verdict.agreed, honest.map(({ peerId }) => peerId).sort())
  const report = await verifyBundle(await readFile(bundle!))
  assert.equal(report.agreed, verdict.agreed)
})

test('how long a provider takes is measured, whatever its receipt says', async () => {
  const cid = await provided('slow', [hostile])
  const delayMs = 500
  lies.set(cid, { delayMs, receipt: (receipt) => ({ ...receipt, finishedAtMs: receipt.startedAtMs }) })
  await requester.submit({ model: cid, inputs: [INPUT], replicas: 1 })
  const seen = requester.peers().find(({ peerId }) => peerId === hostile.peerId)
  const serviceMs = seen?.models.find((model) => model.cid === cid)?.serviceMs ?? 0
  assert.ok(serviceMs > delayMs / 2, `${serviceMs} ms`)
})

async function provided(name: string, nodes: readonly VerimeshNode[]): Promise<string> {
  const { cid } = await addModel(name)
  await Promise.all(nodes.map((node) => node.provide(cid)))
  await requester.describe(cid)
  await untilKnown(
    requester,
    cid,
    nodes.map(({ peerId }) => peerId),
  )
  return cid
}

async function startProvider(bootstrap?: VerimeshNode, isHostile = false): Promise<VerimeshNode> {
  const dataDirectory = await scratchDirectory()
  const signer = createSigner((await loadOrCreateIdentity(dataDirectory)).rawPrivateKey)
  return startNode({
    dataDirectory,
    bootstrap: bootstrap === undefined ? [] : [bootstrap],
    parts: {
      store,
      createRuntime: () => createStubRuntime({ seed: 1, signature: SIGNATURE, transform: () => [OUTPUT] }),
      wrapHandler: (answer) => async (request, signal) => {
        const honestAnswer = await answer(request, signal)
        if (!isHostile) return honestAnswer
        const lie = lies.get(request.job.model)
        if (lie?.delayMs !== undefined) await wait(lie.delayMs)
        return tampered(request, honestAnswer, signer)
      },
    },
  })
}

function tampered(
  request: IncomingInference,
  answer: InferenceAnswer,
  signer: ReturnType<typeof createSigner>,
): InferenceAnswer {
  const lie = lies.get(request.job.model)
  if (lie === undefined || answer.kind !== 'result') return answer
  const outputs = lie.outputs ?? answer.outputs
  const { receipt } = openReceipt(answer.receipt)
  const changed = {
    ...receipt,
    outputBytes: outputs.byteLength,
    outputDigest: digestTensors(request.salt, outputs),
  }
  return { kind: 'result', outputs, receipt: sealReceipt(signer, lie.receipt?.(changed) ?? changed) }
}

function addModel(name: string): Promise<{ cid: string }> {
  const file = new TextEncoder().encode('a stub runs instead')
  const sha256 = createHash('sha256').update(file).digest('hex')
  return store.addFiles(
    {
      verimesh: 1,
      name: `${name} ${lies.size}`.slice(0, 100),
      model: 'model.onnx',
      files: [{ path: 'model.onnx', bytes: file.byteLength, sha256 }],
      signature: SIGNATURE,
      lanes: ['native'],
      tolerance: { tau: 1e-5 },
      batching: { independent: false },
    },
    new Map([['model.onnx', file]]),
  )
}

test.run()

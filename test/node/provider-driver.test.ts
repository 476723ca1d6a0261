import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createStubRuntime, type ModelRuntime } from '../../models/runtime/index.ts'
import type { StoredModel } from '../../models/store/index.ts'
import { encodeTensors, float32Tensor } from '../../models/tensor/index.ts'
import type { IncomingInference } from '../../protocols/inference/index.ts'
import { openJob, openReceipt } from '../../protocols/receipt/index.ts'
import { silentLog } from '../../src/node/index.ts'
import { createProviderDriver } from '../../src/node/provider-driver.ts'
import { createProvider, type Provider } from '../../src/provider/index.ts'
import { MODEL, SALT, testJob } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'

const INPUTS = encodeTensors([float32Tensor('x', [1], new Float32Array([1]))])

/** Runs until it is ended. */
function endless(): ModelRuntime {
  const delay = (_ms: number, signal: AbortSignal) =>
    new Promise<void>((_resolve, reject) => signal.addEventListener('abort', reject, { once: true }))
  return createStubRuntime({ seed: 1, serviceMs: 1, delay })
}

/** A provider of a model that never answers, and a request for it. */
function startSilent() {
  const driver = createProviderDriver({
    machine: createProvider(),
    signer: seededSigner(1),
    log: silentLog,
    announce: () => {},
  })
  const manifest = { name: 'silent', batching: { independent: false } }
  driver.add({ cid: MODEL, manifest } as StoredModel, endless())
  const nowMs = Date.now()
  const times = { createdAtMs: nowMs, deadlineAtMs: nowMs + 60_000 }
  const { job, commitment } = openJob(testJob(seededSigner(2), INPUTS, times).envelope)
  const request: IncomingInference = {
    remotePeer: job.requester,
    job,
    jobCommitment: commitment,
    salt: SALT,
    inputs: INPUTS,
    inputBytes: INPUTS.byteLength,
    timeoutMs: 60_000,
  }
  const running = () => driver.models()[0]?.load.running
  return { driver, request, running }
}

test('a job whose requester has gone while its inputs came is not begun', async () => {
  const { driver, request, running } = startSilent()
  const answer = await driver.answer(request, AbortSignal.abort())
  assert.is(answer.kind, 'refused')
  assert.is(running(), 0)
  await driver.stop(0)
})

test('each lane of a model is asked for by itself, and announced together', async () => {
  const announced: (readonly string[])[] = []
  const driver = createProviderDriver({
    machine: createProvider(),
    signer: seededSigner(1),
    log: silentLog,
    announce: (_model, lanes) => announced.push(lanes),
  })
  const stub = createStubRuntime({ seed: 1 })
  const manifest = { name: 'both', batching: { independent: true } }
  const model = { cid: MODEL, manifest } as StoredModel
  driver.add(model, stub)
  const nowMs = Date.now()
  const terms = { createdAtMs: nowMs, deadlineAtMs: nowMs + 60_000, lane: 'exact' as const }
  const sealed = testJob(seededSigner(2), INPUTS, terms)
  const request: IncomingInference = {
    remotePeer: sealed.job.requester,
    job: sealed.job,
    inputBytes: INPUTS.byteLength,
    jobCommitment: sealed.commitment,
    salt: SALT,
    inputs: INPUTS,
    timeoutMs: 60_000,
  }
  const refusal = driver.admit(request)
  assert.is(refusal?.code, 'unknown-model')
  assert.match(refusal!.message, /in the exact lane/)
  const unserved = await driver.answer(request, new AbortController().signal)
  assert.is(unserved.kind === 'refused' && unserved.code, 'unknown-model')

  driver.add(model, { ...stub, info: { ...stub.info, lane: 'exact' } })
  assert.is(driver.admit(request), undefined)
  const answer = await driver.answer(request, new AbortController().signal)
  assert.is(answer.kind === 'result' && openReceipt(answer.receipt).receipt.runtime.lane, 'exact')
  assert.equal(announced, [['native'], ['native', 'exact']])
  assert.equal(
    driver.models().map(({ lane, served }) => [lane, served]),
    [
      ['native', 0],
      ['exact', 1],
    ],
  )
  await driver.stop(0)
})

test('a lane is free while a job would be taken in it, and not when all places are full, nor at the end', async () => {
  const { driver, request } = startSilent()
  assert.equal(driver.freeLanes(MODEL), ['native'])
  assert.equal(driver.freeLanes('bafyother'), [])
  const { capacity } = driver.models()[0]!.load
  const { signal } = new AbortController()
  const answers = Array.from({ length: capacity }, (_, job) =>
    driver.answer(
      {
        ...request,
        job: { ...request.job, requester: `requester ${job}` },
        jobCommitment: Buffer.alloc(32, `${job},`),
      },
      signal,
    ),
  )
  assert.equal(driver.freeLanes(MODEL), [])
  await driver.stop(0)
  await Promise.all(answers)
  assert.equal(driver.freeLanes(MODEL), [])
})

test('what still runs when the time to drain is over is handed back', async () => {
  const { driver, request, running } = startSilent()
  const answering = driver.answer(request, new AbortController().signal)
  assert.is(running(), 1)
  assert.is(driver.admit(request), undefined)
  await driver.stop(0)
  const answer = await answering
  assert.is(answer.kind === 'refused' && answer.code, 'stopping')
  assert.is(driver.admit(request)?.code, 'stopping')
})

test('draining ends at once when there is no more time for it', async () => {
  const { driver, request } = startSilent()
  const answering = driver.answer(request, new AbortController().signal)
  const hurry = new AbortController()
  const startedAtMs = performance.now()
  const stopping = driver.stop(600_000, hurry.signal)
  hurry.abort()
  await stopping
  assert.is((await answering).kind, 'refused')
  assert.ok(performance.now() - startedAtMs < 10_000, 'long before the job itself had to end')
})

test('entries that shared a run took its time once; those that ran one by one took the sum', async () => {
  for (const [batched, expectedMs] of [
    [true, 7],
    [false, 14],
  ] as const) {
    const { request } = startSilent()
    const executed = Promise.withResolvers<number>()
    // A machine that runs two requests together, and tells what it hears of them.
    const machine: Provider = {
      load: () => undefined,
      handle: (event) => {
        if (event.type === 'executed') executed.resolve(event.serviceMs)
        if (event.type !== 'requested' || event.request.requestId !== '2') return []
        const { model } = event.request
        return [{ type: 'execute', batchId: 1, model, requestIds: ['1', '2'], deadlineAtMs: 0 }]
      },
    }
    const value = { outputs: INPUTS, outputDigest: new Uint8Array(32), batched, serviceMs: 7 }
    const runtime: ModelRuntime = {
      ...endless(),
      execute: async (batch) => batch.map(() => ({ ok: true, value })),
    }
    const driver = createProviderDriver({
      machine,
      signer: seededSigner(1),
      log: silentLog,
      announce: () => {},
    })
    const manifest = { name: 'two', batching: { independent: true } }
    driver.add({ cid: MODEL, manifest } as StoredModel, runtime)
    const { signal } = new AbortController()
    driver.answer(request, signal)
    driver.answer(request, signal)
    assert.is(await executed.promise, expectedMs, `batched: ${batched}`)
  }
})

test.run()

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeEnvelope, sealEnvelope } from '../../protocols/envelope/index.ts'
import {
  isSameRun,
  type Job,
  openJob,
  openReceipt,
  openTraceCommitment,
  type Receipt,
  ReceiptError,
  type ReceiptErrorCode,
  receiptDigest,
  sealJob,
  sealReceipt,
  sealTraceCommitment,
  type TraceCommitment,
  verifyReceipt,
} from '../../protocols/receipt/index.ts'
import { MODEL, testJob, testReceipt, testTerms } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { readVector } from '../fixtures/vectors.ts'

const requester = seededSigner(1)
const provider = seededSigner(2)
const INPUTS = new TextEncoder().encode('the inputs of a job')
const OUTPUTS = new TextEncoder().encode('what came of them')
const job = testJob(requester, INPUTS)
const receipt = testReceipt(job.commitment, OUTPUTS)
const POLICY = testTerms(INPUTS).policy
const expected = {
  jobCommitment: job.commitment,
  provider: provider.peerId,
  outputDigest: receipt.outputDigest,
  outputBytes: receipt.outputBytes,
}

const commitment: TraceCommitment = {
  receiptDigest: receiptDigest(sealReceipt(provider, receipt)),
  jobCommitment: job.commitment,
  planRoot: new Uint8Array(32).fill(1),
  laneId: '1.30.0+wasm.0123456789abcdef+trace.1',
  leafCount: 17,
  traceRoot: new Uint8Array(32).fill(2),
  outputDigest: receipt.outputDigest,
  outputBytes: receipt.outputBytes,
}

const isCode = (code: ReceiptErrorCode) => (error: unknown) =>
  error instanceof ReceiptError && error.code === code
const isReceiptError = (error: unknown) => error instanceof ReceiptError

test('a job has the bytes that its vector says', () => {
  const vector = readVector('job')
  assert.is(Buffer.from(job.envelope).toString('hex'), vector.hex)
  assert.is(Buffer.from(job.commitment).toString('hex'), vector.fields.commitment)
})

test('a receipt has the bytes that its vector says', () => {
  assert.is(Buffer.from(sealReceipt(provider, receipt)).toString('hex'), readVector('receipt').hex)
})

test('opens the job that was sealed, with its requester and its commitment', () => {
  const opened = openJob(job.envelope)
  assert.is(opened.job.requester, requester.peerId)
  assert.equal(plain(opened.job), plain({ ...testTerms(INPUTS), requester: requester.peerId }))
  assert.equal(Buffer.from(opened.commitment), Buffer.from(job.commitment))
})

test('the commitment binds the requester and every term', () => {
  const changes: Partial<Job>[] = [
    { nonce: new Uint8Array(16) },
    { model: `${MODEL}a` },
    { lane: 'exact' },
    { policy: { ...POLICY, quorum: 3 } },
    { policy: { ...POLICY, replicas: 2 } },
    { policy: { ...POLICY, referee: true } },
    { policy: { ...POLICY, publicDisputes: true } },
    { policy: { ...POLICY, referee: true, publicDisputes: true } },
    { tau: 0 },
    { createdAtMs: 0 },
    { deadlineAtMs: 1_790_000_030_001 },
    { inputDigest: new Uint8Array(32) },
    { inputBytes: 1 },
  ]
  const commitments = changes.map((change) => testJob(requester, INPUTS, change).commitment)
  commitments.push(job.commitment, testJob(provider, INPUTS).commitment)
  const distinct = new Set(commitments.map((commitment) => Buffer.from(commitment).toString('hex')))
  assert.is(distinct.size, changes.length + 2)
})

test('a job without a referee has the bytes that it had before there were referees', () => {
  const refereed = testJob(requester, INPUTS, { policy: { ...POLICY, referee: true, publicDisputes: true } })
  assert.is(
    Buffer.from(refereed.payload).toString('hex'),
    `${Buffer.from(job.payload).toString('hex')}68017001`,
  )
  const written = Buffer.concat([job.payload, Buffer.from('6800', 'hex')])
  const type = new TextEncoder().encode('/verimesh/job/1')
  const sealed = sealEnvelope(requester, 'verimesh/job/1', type, written)
  assert.throws(() => openJob(sealed), isCode('malformed'))
})

test('refuses terms outside their limits', () => {
  const cases: Partial<Job>[] = [
    { nonce: new Uint8Array(15) },
    { model: '' },
    { model: 'zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA' },
    { model: `b${'a'.repeat(128)}` },
    { policy: { ...POLICY, replicas: 0, quorum: 0 } },
    { policy: { ...POLICY, replicas: 2, quorum: 1 } },
    { policy: { ...POLICY, replicas: 2, quorum: 3 } },
    { policy: { ...POLICY, replicas: 65, quorum: 64 } },
    { policy: { ...POLICY, replicas: 1, quorum: 1, referee: true } },
    { tau: 1.5 },
    { tau: Number.NaN },
    { tau: -1 },
    { createdAtMs: 0.5 },
    { deadlineAtMs: 1_790_000_000_000 },
    { inputDigest: new Uint8Array(31) },
    { inputBytes: 0 },
    { inputBytes: 64 * 1024 * 1024 + 1 },
  ]
  for (const change of cases) {
    assert.throws(() => testJob(requester, INPUTS, change), isCode('malformed'), JSON.stringify(change))
  }
})

test('refuses a job that names another requester than its signer', () => {
  const type = new TextEncoder().encode('/verimesh/job/1')
  const forged = sealEnvelope(provider, 'verimesh/job/1', type, job.payload)
  assert.throws(() => openJob(forged), isCode('wrong-key'))
})

test('refuses a receipt where a job is wanted, and a job where a receipt is', () => {
  assert.throws(() => openJob(sealReceipt(provider, receipt)), isCode('malformed'))
  assert.throws(() => openReceipt(job.envelope), isCode('malformed'))
})

test('jobs and receipts survive the way there and back', () => {
  const text = fc.string({ minLength: 1, maxLength: 16 })
  const digest = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const time = fc.integer({ min: 0, max: 2 ** 50 })
  const lane = fc.constantFrom('native' as const, 'exact' as const)
  const terms = fc
    .tuple(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 0, max: 31 }))
    .chain(([replicas, extra]) =>
      fc.record({
        nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        model: fc.stringMatching(/^b[a-z2-7]{8,60}$/),
        lane,
        policy: fc.record({
          replicas: fc.constant(replicas),
          quorum: fc.constant(Math.min(replicas, Math.floor(replicas / 2) + 1 + extra)),
          referee: replicas > 1 ? fc.boolean() : fc.constant(false),
          publicDisputes: fc.boolean(),
        }),
        tau: fc.double({ min: 0, max: 1, noNaN: true }).map(Math.abs),
        createdAtMs: time,
        deadlineAtMs: time.map((value) => value + 2 ** 51),
        inputDigest: digest,
        inputBytes: fc.integer({ min: 1, max: 2 ** 26 }),
      }),
    )
  fc.assert(
    fc.property(terms, (value) => {
      assert.equal(
        plain(openJob(sealJob(requester, value).envelope).job),
        plain({ ...value, requester: requester.peerId }),
      )
    }),
  )
  const receipts = fc.record({
    jobCommitment: digest,
    outputDigest: digest,
    outputBytes: fc.integer({ min: 1, max: 2 ** 26 }),
    stepsDigest: digest,
    runtime: fc.record({ engine: text, version: text, lane, instructionSet: text, batched: fc.boolean() }),
    startedAtMs: time,
    finishedAtMs: time.map((value) => value + 2 ** 51),
  })
  fc.assert(
    fc.property(receipts, (value) => {
      assert.equal(plain(openReceipt(sealReceipt(provider, value)).receipt), plain(value))
    }),
  )
})

test('refuses a job or receipt in which any byte was changed', () => {
  const sealed = sealReceipt(provider, receipt)
  for (let at = 0; at < sealed.byteLength; at++) {
    assert.throws(() => openReceipt(changed(sealed, at, 0xff)), isReceiptError, `receipt, byte ${at}`)
  }
  for (let at = 0; at < job.envelope.byteLength; at++) {
    assert.throws(() => openJob(changed(job.envelope, at, 0x01)), isReceiptError, `job, byte ${at}`)
  }
  fc.assert(
    fc.property(fc.nat(sealed.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      assert.throws(() => openReceipt(changed(sealed, at, mask)), isReceiptError)
    }),
  )
})

test('refuses a job or receipt from which bytes were cut or to which bytes were added', () => {
  const sealed = sealReceipt(provider, receipt)
  for (let length = 0; length < sealed.byteLength; length++) {
    assert.throws(() => openReceipt(sealed.subarray(0, length)), isReceiptError, `${length} bytes`)
  }
  assert.throws(() => openReceipt(Buffer.concat([sealed, sealed])), isReceiptError)
})

test('refuses receipts outside their limits', () => {
  const { runtime } = receipt
  const cases: Partial<Receipt>[] = [
    { jobCommitment: new Uint8Array(33) },
    { outputDigest: new Uint8Array(0) },
    { outputBytes: 0 },
    { stepsDigest: new Uint8Array(31) },
    { runtime: { ...runtime, engine: '' } },
    { runtime: { ...runtime, version: 'x'.repeat(65) } },
    { runtime: { ...runtime, instructionSet: '' } },
    { startedAtMs: 1_790_000_000_113 },
    { startedAtMs: -1 },
  ]
  for (const change of cases) {
    const case_ = JSON.stringify(change)
    assert.throws(() => sealReceipt(provider, { ...receipt, ...change }), isCode('malformed'), case_)
  }
})

test('a receipt verifies against the job, provider and outputs that it is about', () => {
  const verified = verifyReceipt(sealReceipt(provider, receipt), { ...expected, lane: 'native' })
  assert.equal(plain(verified), plain(receipt))
})

test('rejects a receipt signed by another peer', () => {
  assert.throws(() => verifyReceipt(sealReceipt(requester, receipt), expected), isCode('wrong-key'))
})

test("rejects a receipt about another job's commitment", () => {
  const other = testReceipt(testJob(requester, OUTPUTS).commitment, OUTPUTS)
  assert.throws(() => verifyReceipt(sealReceipt(provider, other), expected), isCode('wrong-job'))
})

test('rejects a receipt about other outputs, or as many bytes as did not come', () => {
  const sealed = sealReceipt(provider, receipt)
  assert.throws(
    () => verifyReceipt(sealed, { ...expected, outputDigest: new Uint8Array(32) }),
    isCode('wrong-output'),
  )
  assert.throws(() => verifyReceipt(sealed, { ...expected, outputBytes: 1 }), isCode('wrong-output'))
})

test('rejects a receipt from another lane', () => {
  assert.throws(
    () => verifyReceipt(sealReceipt(provider, receipt), { ...expected, lane: 'exact' }),
    isCode('wrong-lane'),
  )
})

test('rejects a receipt with a flipped bit', () => {
  const sealed = sealReceipt(provider, receipt)
  assert.throws(
    () => verifyReceipt(changed(sealed, sealed.byteLength - 1, 1), expected),
    isCode('bad-signature'),
  )
})

test('a trace commitment has the bytes that its vector says, and opens as what was sealed', () => {
  const sealed = sealTraceCommitment(provider, commitment)
  assert.is(Buffer.from(sealed).toString('hex'), readVector('trace-commitment').hex)
  const opened = openTraceCommitment(sealed)
  assert.is(opened.provider, provider.peerId)
  assert.equal(plain(opened.commitment), plain(commitment))
})

test('refuses a trace commitment in which any byte was changed, cut or added', () => {
  const sealed = sealTraceCommitment(provider, commitment)
  for (let at = 0; at < sealed.byteLength; at++) {
    assert.throws(() => openTraceCommitment(changed(sealed, at, 0x01)), isReceiptError, `byte ${at}`)
    assert.throws(() => openTraceCommitment(sealed.subarray(0, at)), isReceiptError, `${at} bytes`)
  }
  assert.throws(() => openTraceCommitment(Buffer.concat([sealed, Buffer.of(0)])), isReceiptError)
})

test('refuses trace commitments outside their limits', () => {
  const cases: Partial<TraceCommitment>[] = [
    { receiptDigest: new Uint8Array(31) },
    { jobCommitment: new Uint8Array(33) },
    { planRoot: new Uint8Array(0) },
    { laneId: '' },
    { laneId: 'x'.repeat(65) },
    { leafCount: 65_537 },
    { leafCount: -1 },
    { traceRoot: new Uint8Array(0) },
    { outputDigest: new Uint8Array(64) },
    { outputBytes: 0 },
    { outputBytes: 64 * 1024 * 1024 + 1 },
  ]
  for (const change of cases) {
    const seal = () => sealTraceCommitment(provider, { ...commitment, ...change })
    assert.throws(seal, isCode('malformed'), JSON.stringify(change))
  }
  sealTraceCommitment(provider, { ...commitment, leafCount: 0 })
  sealTraceCommitment(provider, { ...commitment, leafCount: 65_536, laneId: 'x'.repeat(64) })
})

test('a signature under a receipt or a job is none under a trace commitment', () => {
  const { payload } = decodeEnvelope(sealTraceCommitment(provider, commitment))
  const type = new TextEncoder().encode('/verimesh/trace/1')
  const forged = sealEnvelope(provider, 'verimesh/receipt/1', type, payload)
  assert.throws(() => openTraceCommitment(forged), isCode('bad-signature'))
  assert.throws(() => openTraceCommitment(sealReceipt(provider, receipt)), isCode('malformed'))
  assert.throws(() => openReceipt(sealTraceCommitment(provider, commitment)), isCode('malformed'))
})

test('the digest of a receipt is of what was signed, and only of receipts', () => {
  const sealed = sealReceipt(provider, receipt)
  const { payload } = decodeEnvelope(sealed)
  const expected = createHash('sha256').update(payload).digest('hex')
  assert.is(Buffer.from(receiptDigest(sealed)).toString('hex'), expected)
  const other = sealReceipt(provider, { ...receipt, finishedAtMs: receipt.finishedAtMs + 1 })
  assert.is.not(Buffer.from(receiptDigest(other)).toString('hex'), expected)
  assert.throws(() => receiptDigest(job.envelope), isCode('malformed'))
})

test('two runs are the same only where all that is said of them is', () => {
  assert.ok(isSameRun(commitment, { ...commitment, planRoot: new Uint8Array(32).fill(1) }))
  const cases: Partial<TraceCommitment>[] = [
    { planRoot: new Uint8Array(32) },
    { laneId: 'other' },
    { leafCount: 18 },
    { traceRoot: new Uint8Array(32) },
    { outputDigest: new Uint8Array(32) },
    { outputBytes: 1 },
  ]
  for (const change of cases) {
    assert.not(isSameRun(commitment, { ...commitment, ...change }), JSON.stringify(change))
  }
})

test.run()

function changed(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = bytes.slice()
  copy[at]! ^= mask
  return copy
}

/** Byte arrays as hex, whatever class they are of. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, entry: unknown) =>
      entry instanceof Uint8Array
        ? Buffer.from(entry).toString('hex')
        : isBufferJson(entry)
          ? Buffer.from(entry.data).toString('hex')
          : entry,
    ),
  )
}

function isBufferJson(value: unknown): value is { data: number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer'
}

import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Signer } from '../../protocols/envelope/index.ts'
import {
  type BundleContents,
  createBundle,
  decodeBundle,
  type Job,
  type Receipt,
  ReceiptError,
  type ReceiptErrorCode,
  sealReceipt,
  verifyBundle,
} from '../../protocols/receipt/index.ts'
import { SALT, testJob, testReceipt } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { readVector } from '../fixtures/vectors.ts'

const requester = seededSigner(1)
const providers = [seededSigner(2), seededSigner(3), seededSigner(4)] as const
const INPUTS = new TextEncoder().encode('the inputs of a job')
const OUTPUTS = new TextEncoder().encode('what came of them')
const OTHER = new TextEncoder().encode('something else')
const job = testJob(requester, INPUTS)
const accepted = testReceipt(job.commitment, OUTPUTS).outputDigest

function receiptOf(signer: Signer, outputs = OUTPUTS, agreed = true, changes: Partial<Receipt> = {}) {
  return { envelope: sealReceipt(signer, testReceipt(job.commitment, outputs, changes)), agreed }
}

const contents: BundleContents = {
  job: job.envelope,
  salt: SALT,
  inputs: INPUTS,
  outputs: OUTPUTS,
  acceptedDigest: accepted,
  receipts: [receiptOf(providers[0]), receiptOf(providers[1])],
  verdict: { label: 'replicated', asked: 3, groups: 2 },
  closedAtMs: 1_790_000_000_500,
  description: 'line 1',
}

async function rejects(
  changes: Partial<BundleContents>,
  code: ReceiptErrorCode,
  signer = requester,
): Promise<void> {
  let thrown: unknown
  try {
    await verifyBundle(createBundle(signer, { ...contents, ...changes }))
  } catch (error) {
    thrown = error
  }
  assert.instance(thrown, ReceiptError, `expected ${code}`)
  assert.is((thrown as ReceiptError).code, code, (thrown as ReceiptError).message)
}

test('a bundle has the bytes that its vector says, whatever order its receipts came in', () => {
  const { hex } = readVector('bundle')
  assert.is(Buffer.from(createBundle(requester, contents)).toString('hex'), hex)
  const reversed = { ...contents, receipts: [...contents.receipts].reverse() }
  assert.is(Buffer.from(createBundle(requester, reversed)).toString('hex'), hex)
})

test('reports what an honest bundle shows and what it does not', async () => {
  const report = await verifyBundle(createBundle(requester, contents))
  assert.is(report.label, 'replicated')
  assert.is(report.jobId, Buffer.from(job.commitment).toString('hex'))
  assert.equal(
    report.agreed,
    providers
      .slice(0, 2)
      .map(({ peerId }) => peerId)
      .sort(),
  )
  assert.equal(report.disagreed, [])
  assert.is(report.bundle.description, 'line 1')
  assert.ok(report.checks.includes('The inputs are those that the job states.'))
  assert.ok(report.doesNotShow.some((sentence) => sentence.includes('act together')))
})

test('a bundle may keep only digests, and says so', async () => {
  const { inputs: _inputs, outputs: _outputs, ...digests } = contents
  const report = await verifyBundle(createBundle(requester, digests))
  assert.is(report.bundle.inputs, undefined)
  assert.is(report.bundle.outputs, undefined)
  assert.ok(report.doesNotShow.includes('What the inputs were: the bundle holds only their digest.'))
})

test('outputs that differ count only on the word of the requester', async () => {
  const receipts = [
    receiptOf(providers[0]),
    receiptOf(providers[1], OTHER),
    receiptOf(providers[2], OTHER, false),
  ]
  const report = await verifyBundle(createBundle(requester, { ...contents, receipts }))
  assert.is(report.agreed.length, 2)
  assert.equal(report.disagreed, [providers[2].peerId])
  assert.ok(report.shows.some((sentence) => sentence.startsWith('1 more signed outputs of their own')))
})

test('a bundle in which the requester agrees with itself says so', async () => {
  const receipts = [receiptOf(providers[0]), receiptOf(requester)]
  const report = await verifyBundle(createBundle(requester, { ...contents, receipts }))
  assert.ok(report.doesNotShow.some((sentence) => sentence.startsWith('Independence')))
})

test('refuses every change of every byte', async () => {
  const good = createBundle(requester, contents)
  for (let at = 0; at < good.byteLength; at++) {
    const bad = good.slice()
    bad[at]! ^= 0x01
    assert.ok(await isRefused(bad), `byte ${at}`)
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(good.byteLength - 1), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
      const bad = good.slice()
      bad[at]! ^= mask
      assert.ok(await isRefused(bad))
    }),
  )
})

test('refuses a bundle that was cut or that has more behind it', async () => {
  const good = createBundle(requester, contents)
  for (let length = 0; length < good.byteLength; length += 7) {
    assert.ok(await isRefused(good.subarray(0, length)), `${length} bytes`)
  }
  assert.ok(await isRefused(Buffer.concat([good, Buffer.of(0x22, 1, 0)])))
})

test('refuses a bundle whose inputs or outputs were taken out', async () => {
  const good = Buffer.from(createBundle(requester, contents))
  const tail = 2 + OUTPUTS.byteLength
  assert.ok(await isRefused(good.subarray(0, -tail)), 'without outputs')
  const head = good.subarray(0, -(tail + 2 + INPUTS.byteLength))
  assert.ok(await isRefused(Buffer.concat([head, good.subarray(-tail)])), 'without inputs')
})

test('refuses inputs, outputs or a salt that are not those that were signed', async () => {
  await rejects({ inputs: Buffer.from('the inputs of a jab') }, 'wrong-input')
  await rejects({ inputs: Buffer.from('other') }, 'wrong-input')
  await rejects({ outputs: OTHER }, 'wrong-output')
  await rejects({ salt: new Uint8Array(32) }, 'wrong-input')
})

test('refuses a bundle that is not signed by the requester of its job', async () => {
  await rejects({}, 'wrong-key', providers[0])
})

test('refuses a receipt of another job or lane', async () => {
  const other = testJob(requester, INPUTS, { nonce: new Uint8Array(16) })
  const stray = { envelope: sealReceipt(providers[1], testReceipt(other.commitment, OUTPUTS)), agreed: true }
  await rejects({ receipts: [receiptOf(providers[0]), stray] }, 'wrong-job')
  const { runtime } = testReceipt(job.commitment, OUTPUTS)
  const exact = receiptOf(providers[1], OUTPUTS, true, { runtime: { ...runtime, lane: 'exact' } })
  await rejects({ receipts: [receiptOf(providers[0]), exact] }, 'wrong-lane')
})

test('refuses two receipts of one provider', async () => {
  const { startedAtMs } = testReceipt(job.commitment, OUTPUTS)
  const again = receiptOf(providers[0], OUTPUTS, true, { startedAtMs: startedAtMs - 1 })
  await rejects({ receipts: [receiptOf(providers[0]), again] }, 'malformed')
})

test('refuses a verdict that claims more than its receipts show', async () => {
  await rejects({ receipts: [] }, 'weak-verdict')
  const verdict = { label: 'replicated', asked: 3, groups: 2 } as const
  await rejects({ receipts: [receiptOf(providers[0])] }, 'weak-verdict')
  await rejects({ receipts: [receiptOf(providers[0])], verdict: { ...verdict, groups: 1 } }, 'weak-verdict')
  await rejects({ verdict: { ...verdict, asked: 1 } }, 'weak-verdict')
  await rejects({ verdict: { ...verdict, groups: 3 } }, 'weak-verdict')
  await rejects({ verdict: { ...verdict, groups: 0 } }, 'weak-verdict')
  const byOthers = [receiptOf(providers[0], OTHER), receiptOf(providers[1], OTHER)]
  await rejects({ receipts: byOthers }, 'weak-verdict')
  const discounted = [...contents.receipts, receiptOf(providers[2], OUTPUTS, false)]
  await rejects({ receipts: discounted }, 'weak-verdict')
})

test('accepts the weaker label where the evidence is weaker', async () => {
  const receipts = [receiptOf(providers[0])]
  const verdict = { label: 'signed', asked: 3, groups: 1 } as const
  const report = await verifyBundle(createBundle(requester, { ...contents, receipts, verdict }))
  assert.is(report.label, 'signed')
})

test('in the exact lane only equal outputs agree', async () => {
  const exactTerms: Partial<Job> = { lane: 'exact' }
  const exactJob = testJob(requester, INPUTS, exactTerms)
  const runtime = { ...testReceipt(job.commitment, OUTPUTS).runtime, lane: 'exact' } as const
  const entry = (signer: Signer, outputs: Uint8Array) => ({
    envelope: sealReceipt(signer, testReceipt(exactJob.commitment, outputs, { runtime })),
    agreed: true,
  })
  const equal = [entry(providers[0], OUTPUTS), entry(providers[1], OUTPUTS)]
  await verifyBundle(createBundle(requester, { ...contents, job: exactJob.envelope, receipts: equal }))
  const near = [entry(providers[0], OUTPUTS), entry(providers[1], OTHER)]
  await rejects({ job: exactJob.envelope, receipts: near }, 'weak-verdict')
})

test('pauses while it digests a large payload', async () => {
  const inputs = new Uint8Array(3 * 1024 * 1024 + 1)
  const large = testJob(requester, inputs)
  const receipts = providers.slice(0, 2).map((signer) => ({
    envelope: sealReceipt(signer, testReceipt(large.commitment, OUTPUTS)),
    agreed: true,
  }))
  let pauses = 0
  const bytes = createBundle(requester, { ...contents, job: large.envelope, inputs, receipts })
  await verifyBundle(bytes, async () => {
    pauses++
  })
  assert.is(pauses, 3)
  assert.is(decodeBundle(bytes).inputs?.byteLength, inputs.byteLength)
})

test.run()

async function isRefused(bytes: Uint8Array): Promise<boolean> {
  try {
    await verifyBundle(bytes)
    return false
  } catch (error) {
    if (error instanceof ReceiptError) return true
    throw error
  }
}

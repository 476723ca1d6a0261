import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Signer } from '../../protocols/envelope/index.ts'
import {
  type BundleContents,
  createBundle,
  decodeBundle,
  type ExactRun,
  type Job,
  type Receipt,
  ReceiptError,
  type ReceiptErrorCode,
  receiptDigest,
  sealReceipt,
  sealTraceCommitment,
  type TraceCommitment,
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
  await rejectsWhole({ ...contents, ...changes }, code, signer)
}

async function rejectsWhole(
  whole: BundleContents,
  code: ReceiptErrorCode,
  signer = requester,
): Promise<void> {
  let thrown: unknown
  try {
    await verifyBundle(createBundle(signer, whole))
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

/** A job with a referee: A and B answered alike within the tolerance, C something else; A and B have one exact run. */
const refereed = testJob(requester, INPUTS, {
  policy: { replicas: 2, quorum: 2, referee: true, publicDisputes: false },
})
const EXACT = new TextEncoder().encode('what came of them, exactly')
const RUN: ExactRun = {
  planRoot: new Uint8Array(32).fill(1),
  laneId: '1.30.0+wasm.0123456789abcdef+trace.1',
  leafCount: 17,
  traceRoot: new Uint8Array(32).fill(2),
  outputDigest: testReceipt(refereed.commitment, EXACT).outputDigest,
  outputBytes: EXACT.byteLength,
}
const answers = [
  sealReceipt(providers[0], testReceipt(refereed.commitment, OUTPUTS)),
  sealReceipt(providers[1], testReceipt(refereed.commitment, OTHER)),
  sealReceipt(providers[2], testReceipt(refereed.commitment, INPUTS)),
] as const

function traceOf(who: 0 | 1 | 2, changes: Partial<TraceCommitment> = {}): Uint8Array {
  return sealTraceCommitment(providers[who], {
    ...RUN,
    receiptDigest: receiptDigest(answers[who]),
    jobCommitment: refereed.commitment,
    ...changes,
  })
}

const judged: BundleContents = {
  ...contents,
  job: refereed.envelope,
  receipts: [
    { envelope: answers[0], agreed: true },
    { envelope: answers[1], agreed: true },
    { envelope: answers[2], agreed: false },
  ],
  verdict: { label: 'refereed', asked: 3, groups: 2 },
  traces: [traceOf(0), traceOf(1)],
}
/** Nobody's answer was near the run that two of them traced alike: its outputs were taken instead. */
const exactOutputs: BundleContents = {
  ...judged,
  outputs: EXACT,
  acceptedDigest: RUN.outputDigest,
  receipts: judged.receipts.map(({ envelope }) => ({ envelope, agreed: false })),
  verdict: { label: 'refereed', asked: 3, groups: 0 },
}
const rejectsJudged = (changes: Partial<BundleContents>, code: ReceiptErrorCode) =>
  rejects({ ...judged, ...changes }, code)

test('a bundle with traces has the bytes that its vector says, whatever order they came in', () => {
  const { hex } = readVector('bundle-refereed')
  const whole = { ...judged, ownRun: RUN }
  assert.is(Buffer.from(createBundle(requester, whole)).toString('hex'), hex)
  const reversed = { ...whole, traces: [traceOf(1), traceOf(0)] }
  assert.is(Buffer.from(createBundle(requester, reversed)).toString('hex'), hex)
})

test('refereed rests on two traces of one run, one of them by who agreed', async () => {
  const report = await verifyBundle(createBundle(requester, judged))
  assert.is(report.label, 'refereed')
  assert.is(report.bundle.traces.length, 2)
  assert.ok(report.shows.some((sentence) => sentence.includes('signed every step of one exact run')))
  assert.ok(report.doesNotShow.some((sentence) => sentence.includes('within the tolerance of the exact run')))
  // One of the two answered something else; its trace is another witness all the same.
  const traces = [traceOf(0), traceOf(2)]
  assert.is((await verifyBundle(createBundle(requester, { ...judged, traces }))).label, 'refereed')
})

test('refereed rests on one trace and the own run of the requester, where there is no second', async () => {
  const report = await verifyBundle(createBundle(requester, { ...judged, traces: [traceOf(0)], ownRun: RUN }))
  assert.is(report.label, 'refereed')
  assert.ok(report.doesNotShow.some((sentence) => sentence.startsWith('That the requester ran the model')))
})

test('refereed with less than that is refused', async () => {
  await rejectsJudged({ traces: [] }, 'weak-verdict')
  await rejectsJudged({ traces: [traceOf(0)] }, 'weak-verdict')
  await rejectsJudged({ traces: [], ownRun: RUN }, 'weak-verdict')
  await rejectsJudged({ traces: [traceOf(0), traceOf(0)] }, 'malformed')
  // Both traced, and neither is among those whose answer was taken.
  const receipts = judged.receipts.map(({ envelope }, index) => ({ envelope, agreed: index === 0 }))
  await rejectsJudged(
    { receipts, traces: [traceOf(1), traceOf(2)], verdict: { ...judged.verdict, groups: 1 } },
    'weak-verdict',
  )
  await rejectsJudged({ traces: [traceOf(2)], ownRun: RUN }, 'weak-verdict')
})

test('a requester that is also a provider is one voice', async () => {
  const own = sealReceipt(requester, testReceipt(refereed.commitment, OUTPUTS))
  const trace = sealTraceCommitment(requester, {
    ...RUN,
    receiptDigest: receiptDigest(own),
    jobCommitment: refereed.commitment,
  })
  const receipts = [...judged.receipts, { envelope: own, agreed: true }]
  const verdict = { ...judged.verdict, asked: 4 }
  await rejectsJudged({ receipts, verdict, traces: [trace], ownRun: RUN }, 'weak-verdict')
  const report = await verifyBundle(
    createBundle(requester, { ...judged, receipts, verdict, traces: [trace, traceOf(0)] }),
  )
  assert.ok(report.doesNotShow.some((sentence) => sentence.startsWith('Independence')))
})

test('refereed is refused for a job that asked for no referee', async () => {
  const plain = testJob(requester, INPUTS)
  const receipts = providers.map((signer, index) => ({
    envelope: sealReceipt(signer, testReceipt(plain.commitment, index < 2 ? OUTPUTS : INPUTS)),
    agreed: index < 2,
  }))
  const traces = receipts.slice(0, 2).map(({ envelope }, index) =>
    sealTraceCommitment(providers[index]!, {
      ...RUN,
      receiptDigest: receiptDigest(envelope),
      jobCommitment: plain.commitment,
    }),
  )
  const whole = { ...judged, job: plain.envelope, receipts, traces }
  await rejects(whole, 'weak-verdict')
  // A weaker label with the same pieces stands.
  const verdict = { label: 'replicated', asked: 3, groups: 2 } as const
  assert.is((await verifyBundle(createBundle(requester, { ...whole, verdict }))).label, 'replicated')
})

/** Every part of a run, changed. */
const OTHER_RUNS: readonly Partial<ExactRun>[] = [
  { planRoot: new Uint8Array(32) },
  { laneId: '1.26.0+wasm.0123456789abcdef+trace.1' },
  { leafCount: 18 },
  { traceRoot: new Uint8Array(32) },
  { outputDigest: new Uint8Array(32) },
  { outputBytes: 1 },
]
for (const other of OTHER_RUNS) {
  test(`traces that differ in ${Object.keys(other)} are not of one run`, async () => {
    await rejectsJudged({ traces: [traceOf(0), traceOf(1, other)] }, 'wrong-trace')
    await rejectsJudged({ traces: [traceOf(0)], ownRun: { ...RUN, ...other } }, 'wrong-trace')
  })
}

test('a trace of another job, another receipt or nobody in the bundle is refused', async () => {
  await rejectsJudged({ traces: [traceOf(0), traceOf(1, { jobCommitment: job.commitment })] }, 'wrong-job')
  const foreign = { receiptDigest: receiptDigest(answers[0]) }
  await rejectsJudged({ traces: [traceOf(0), traceOf(1, foreign)] }, 'wrong-trace')
  const verdict = { ...judged.verdict, groups: 1 }
  await rejectsJudged({ receipts: [judged.receipts[0]!], verdict }, 'wrong-trace')
})

test('a trace with a flipped bit, or more traces than a bundle may have, are refused', async () => {
  const flipped = traceOf(1)
  flipped[flipped.byteLength - 1]! ^= 1
  await rejectsJudged({ traces: [traceOf(0), flipped] }, 'bad-signature')
  const many = Array.from({ length: 17 }, (_, index) =>
    sealTraceCommitment(seededSigner(10 + index), {
      ...RUN,
      receiptDigest: new Uint8Array(32),
      jobCommitment: refereed.commitment,
    }),
  )
  await rejectsJudged({ traces: many }, 'malformed')
})

test('outputs that no receipt states are accepted where the traces state them', async () => {
  const report = await verifyBundle(createBundle(requester, exactOutputs))
  assert.equal(report.agreed, [])
  assert.is(report.disagreed.length, 3)
  assert.ok(report.shows.some((sentence) => sentence.endsWith('which gave the accepted outputs.')))
  await rejects({ ...exactOutputs, traces: [traceOf(0)] }, 'weak-verdict')
  const { outputs: _outputs, ...digests } = exactOutputs
  await rejectsWhole({ ...digests, acceptedDigest: new Uint8Array(32) }, 'weak-verdict')
  for (const label of ['signed', 'replicated'] as const) {
    await rejects({ ...exactOutputs, verdict: { label, asked: 3, groups: 0 } }, 'weak-verdict')
  }
  await rejects({ ...exactOutputs, verdict: { label: 'refereed', asked: 3, groups: 1 } }, 'weak-verdict')
})

test('the length that a trace states of the accepted outputs is theirs', async () => {
  const wrong = { outputBytes: 3 }
  await rejects({ ...exactOutputs, traces: [traceOf(0, wrong), traceOf(1, wrong)] }, 'wrong-output')
})

test("recomputed rests on the requester's statement of its own run, and says that it is its word", async () => {
  const recomputed: BundleContents = {
    ...judged,
    traces: [],
    ownRun: RUN,
    verdict: { label: 'recomputed', asked: 3, groups: 2 },
  }
  const report = await verifyBundle(createBundle(requester, recomputed))
  assert.is(report.label, 'recomputed')
  assert.ok(report.doesNotShow.some((sentence) => sentence.includes('it is its word')))
  assert.equal(report.bundle.ownRun?.laneId, RUN.laneId)
  await verifyBundle(createBundle(requester, { ...recomputed, traces: [traceOf(1)] }))
  const { ownRun: _ownRun, ...without } = recomputed
  await rejectsWhole(without, 'weak-verdict')
  // Neither its own run nor a receipt gave these outputs.
  const { outputs: _outputs, ...digests } = recomputed
  const disagreed = judged.receipts.map(({ envelope }) => ({ envelope, agreed: false }))
  const verdict = { label: 'recomputed', asked: 3, groups: 0 } as const
  await verifyBundle(
    createBundle(requester, { ...digests, receipts: disagreed, verdict, acceptedDigest: RUN.outputDigest }),
  )
  await rejectsWhole(
    { ...digests, receipts: disagreed, verdict, acceptedDigest: new Uint8Array(32) },
    'weak-verdict',
  )
})

test('in the exact lane the run that decided gives the accepted outputs, and nobody contradicts its own receipt', async () => {
  const policy = { replicas: 2, quorum: 2, referee: true, publicDisputes: false }
  const exactJob = testJob(requester, INPUTS, { lane: 'exact', policy })
  const { runtime: native } = testReceipt(job.commitment, OUTPUTS)
  const runtime = { ...native, lane: 'exact', version: RUN.laneId } as const
  const seal = (signer: Signer, outputs: Uint8Array, version: string = RUN.laneId) =>
    sealReceipt(signer, testReceipt(exactJob.commitment, outputs, { runtime: { ...runtime, version } }))
  const trace = (signer: Signer, receipt: Uint8Array, changes: Partial<ExactRun> = {}) =>
    sealTraceCommitment(signer, {
      ...RUN,
      ...changes,
      receiptDigest: receiptDigest(receipt),
      jobCommitment: exactJob.commitment,
    })
  const honest = [seal(providers[0], EXACT), seal(providers[1], EXACT)] as const
  const whole: BundleContents = {
    ...judged,
    job: exactJob.envelope,
    outputs: EXACT,
    acceptedDigest: RUN.outputDigest,
    receipts: honest.map((envelope) => ({ envelope, agreed: true })),
    traces: [trace(providers[0], honest[0]), trace(providers[1], honest[1])],
  }
  assert.is((await verifyBundle(createBundle(requester, whole))).label, 'refereed')
  const liar = seal(providers[2], OTHER)
  const receipts = [whole.receipts[0]!, { envelope: liar, agreed: false }]
  const verdict = { ...whole.verdict, groups: 1 }
  const traces = [trace(providers[0], honest[0]), trace(providers[2], liar)]
  await rejects({ ...whole, receipts, verdict, traces }, 'wrong-trace')
  // The receipt is of another lane than the trace: nothing in it is contradicted, but the answer is not the run's.
  const other = { outputDigest: new Uint8Array(32).fill(9) }
  const older = [seal(providers[0], EXACT, '1.26.0'), seal(providers[1], EXACT, '1.26.0')] as const
  const apart = older.map((envelope, index) => trace(providers[index]!, envelope, other))
  await rejects(
    { ...whole, receipts: older.map((envelope) => ({ envelope, agreed: true })), traces: apart },
    'weak-verdict',
  )
})

test('every change of every byte of a bundle with traces is refused', async () => {
  const good = createBundle(requester, { ...judged, ownRun: RUN })
  for (let at = 0; at < good.byteLength; at += 3) {
    const bad = good.slice()
    bad[at]! ^= 0x01
    assert.ok(await isRefused(bad), `byte ${at}`)
  }
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

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { digestTensors, encodeTensors, float32Tensor } from '../../models/tensor/index.ts'
import { createBundle, sealReceipt } from '../../protocols/receipt/index.ts'
import { silentLog } from '../../src/node/index.ts'
import { RECHECK_SUFFIX } from '../../src/node/places.ts'
import { createReceiptDatabase, RECEIPTS_FILE } from '../../src/node/receipt-database.ts'
import { createMemoryIndex } from '../../src/node/receipt-index.ts'
import { createRechecking, type Recheck } from '../../src/node/rechecking.ts'
import type { Verdict } from '../../src/verification/index.ts'
import { MODEL, SALT, testJob, testReceipt } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'
import { until } from '../fixtures/until.ts'

const test = suite('rechecking', { directory: '' })
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), 'verimesh-recheck-'))
})
test.after.each((context) => rmSync(context.directory, { recursive: true, force: true }))

const INPUTS = encodeTensors([float32Tensor('x', [1], new Float32Array([1]))])
const TRUTH = encodeTensors([float32Tensor('y', [1], new Float32Array([2]))])
const LIE = encodeTensors([float32Tensor('y', [1], new Float32Array([3]))])
const LIAR = seededSigner(2).peerId

function bundleOf(directory: string, outputs: Uint8Array, digestsOnly = false): string {
  const requester = seededSigner(1)
  const job = testJob(requester, INPUTS)
  const receipts = [2, 3].map((seed) => ({
    envelope: sealReceipt(seededSigner(seed), testReceipt(job.commitment, outputs)),
    agreed: true,
  }))
  const bytes = createBundle(requester, {
    job: job.envelope,
    salt: SALT,
    ...(digestsOnly ? {} : { inputs: INPUTS, outputs }),
    acceptedDigest: digestTensors(SALT, outputs),
    receipts,
    verdict: { label: 'replicated', asked: 2, groups: 2 },
    closedAtMs: 1_790_000_020_000,
  })
  const path = join(directory, 'job.bundle')
  writeFileSync(path, bytes)
  return path
}

type Again = (signal: AbortSignal) => Promise<Uint8Array> | Uint8Array

/** One process; `directory` is where it and the next one remember answers. */
function start(
  again: Uint8Array | Again = TRUTH,
  directory?: string,
  suffices = (_jobId: string, _model: string, _providers: readonly string[]) => false,
) {
  const told: Recheck[] = []
  const asked: string[] = []
  const rechecking = createRechecking({
    again: async (model, _inputs, signal) => {
      asked.push(model)
      const outputs = typeof again === 'function' ? await again(signal) : again
      return { outputs, by: 'this machine' }
    },
    index:
      directory === undefined ? createMemoryIndex() : createReceiptDatabase(directory, { log: silentLog }),
    suffices,
    onRecheck: (recheck) => told.push(recheck),
    log: silentLog,
  })
  return { rechecking, told, asked }
}

/** The job of `bundleOf`. */
const JOB_ID = Buffer.from(testJob(seededSigner(1), INPUTS).commitment).toString('hex')

function settled(bundle: string | undefined, agreed = [LIAR, seededSigner(3).peerId], label = 'replicated') {
  const verdict = { label, agreed, disagreed: [], asked: 2, groups: 2 } as unknown as Verdict
  return { jobId: JOB_ID, model: MODEL, verdict, tau: 5e-5, bundle }
}

test('an answer that rested on an exposed key and was wrong is told and marked', async ({ directory }) => {
  const { rechecking, told } = start()
  const bundle = bundleOf(directory, LIE)
  rechecking.settled(settled(bundle))
  rechecking.foundOut(LIAR)
  await rechecking.idle()
  assert.equal(
    told.map(({ outcome, provider }) => [outcome, provider]),
    [['wrong', LIAR]],
  )
  assert.is(JSON.parse(readFileSync(`${bundle}${RECHECK_SUFFIX}`, 'utf8')).outcome, 'wrong')
})

test('an answer that was right all the same is confirmed', async ({ directory }) => {
  const { rechecking, told } = start()
  rechecking.settled(settled(bundleOf(directory, TRUTH)))
  rechecking.foundOut(LIAR)
  await rechecking.idle()
  assert.is(told[0]?.outcome, 'confirmed')
})

test('an answer a little beyond the tolerance of the exact run is not called wrong', async ({
  directory,
}) => {
  const near = encodeTensors([float32Tensor('y', [1], new Float32Array([2.0004]))])
  const { rechecking, told } = start()
  rechecking.settled(settled(bundleOf(directory, near)))
  rechecking.foundOut(LIAR)
  await rechecking.idle()
  assert.is(told[0]?.outcome, 'unchecked')
})

test('what cannot be computed again is told as unchecked, with the reason', async ({ directory }) => {
  const { rechecking, told, asked } = start()
  rechecking.settled(settled(undefined))
  rechecking.foundOut(LIAR)
  await rechecking.idle()
  rechecking.settled(settled(bundleOf(directory, LIE, true)))
  rechecking.foundOut(LIAR)
  await rechecking.idle()
  assert.equal(
    told.map(({ outcome }) => outcome),
    ['unchecked', 'unchecked'],
  )
  assert.match(told[1]!.reason, /only digests/)
  assert.equal(asked, [])
})

test('an answer that closes after the key on which it rests was exposed is checked again too', async ({
  directory,
}) => {
  const { rechecking, told } = start()
  rechecking.foundOut(LIAR)
  rechecking.settled(settled(bundleOf(directory, LIE)))
  await rechecking.idle()
  assert.equal(
    told.map(({ outcome }) => outcome),
    ['wrong'],
  )
})

test('what rests on others, or on this machine, is left alone', async ({ directory }) => {
  const { rechecking, told } = start()
  const bundle = bundleOf(directory, LIE)
  rechecking.settled(settled(bundle, [seededSigner(3).peerId]))
  rechecking.settled({ ...settled(bundle, [LIAR], 'recomputed'), jobId: JOB_ID.replaceAll('a', 'b') })
  rechecking.foundOut(LIAR)
  await rechecking.idle()
  assert.equal(told, [])
  assert.not.ok(existsSync(`${bundle}${RECHECK_SUFFIX}`))
})

test('an answer is checked again once, however often its key is exposed', async ({ directory }) => {
  const { rechecking, told } = start()
  rechecking.settled(settled(bundleOf(directory, LIE)))
  rechecking.foundOut(LIAR)
  rechecking.foundOut(LIAR)
  await rechecking.idle()
  assert.is(told.length, 1)
})

test('an answer is checked again after a restart between its job and the proof', async ({ directory }) => {
  const bundle = bundleOf(directory, LIE)
  const before = start(TRUTH, directory)
  before.rechecking.settled(settled(bundle))
  before.rechecking.stop()
  before.rechecking.close()
  const after = start(TRUTH, directory)
  after.rechecking.resume(['somebody else'])
  await after.rechecking.idle()
  assert.equal(after.told, [])
  after.rechecking.foundOut(LIAR)
  await after.rechecking.idle()
  assert.equal(
    after.told.map(({ jobId, outcome }) => [jobId, outcome]),
    [[JOB_ID, 'wrong']],
  )
  assert.is(JSON.parse(readFileSync(`${bundle}${RECHECK_SUFFIX}`, 'utf8')).outcome, 'wrong')
  after.rechecking.close()
  const later = start(TRUTH, directory)
  later.rechecking.resume([LIAR])
  await later.rechecking.idle()
  assert.equal(later.told, [], 'once is enough')
  later.rechecking.close()
})

test('an answer whose key was exposed while no node ran is checked by the next one', async ({
  directory,
}) => {
  const before = start(TRUTH, directory)
  before.rechecking.settled(settled(bundleOf(directory, LIE)))
  before.rechecking.close()
  const after = start(TRUTH, directory)
  after.rechecking.resume([LIAR])
  assert.is(after.rechecking.waiting(), 1)
  await after.rechecking.idle()
  assert.is(after.told[0]?.outcome, 'wrong')
  after.rechecking.close()
})

test('what a node is at when it stops is left to the next one, without a mark', async ({ directory }) => {
  const bundle = bundleOf(directory, LIE)
  const before = start(
    (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      }),
    directory,
  )
  before.rechecking.settled(settled(bundle))
  before.rechecking.foundOut(LIAR)
  await until('it has begun', () => before.asked.length > 0)
  before.rechecking.stop()
  await before.rechecking.idle()
  before.rechecking.close()
  assert.equal(before.told, [])
  assert.not.ok(existsSync(`${bundle}${RECHECK_SUFFIX}`))
  const after = start(TRUTH, directory)
  after.rechecking.resume([LIAR])
  await after.rechecking.idle()
  assert.is(after.told[0]?.outcome, 'wrong')
  after.rechecking.close()
})

test('two nodes on one data directory check an answer again once', async ({ directory }) => {
  const [one, two] = [start(TRUTH, directory), start(TRUTH, directory)]
  one.rechecking.settled(settled(bundleOf(directory, LIE)))
  for (const { rechecking } of [one, two]) rechecking.foundOut(LIAR)
  for (const { rechecking } of [one, two]) await rechecking.idle()
  assert.is(one.told.length + two.told.length, 1)
  for (const { rechecking } of [one, two]) rechecking.close()
})

test('who cannot check an answer says so and leaves it to the next, three times', async ({ directory }) => {
  const bundle = bundleOf(directory, LIE)
  const unable = () => Promise.reject(new Error('nobody provides the model'))
  const before = start(unable, directory)
  before.rechecking.settled(settled(bundle))
  before.rechecking.close()
  for (let attempt = 1; attempt <= 4; attempt++) {
    const { rechecking, told } = start(unable, directory)
    rechecking.resume([LIAR])
    await rechecking.idle()
    const expected = attempt <= 3 ? [['unchecked', 'nobody provides the model']] : []
    assert.equal(
      told.map(({ outcome, reason }) => [outcome, reason]),
      expected,
      `attempt ${attempt}`,
    )
    rechecking.close()
  }
})

test('a bundle that is gone, or another job s, is told as that and has no mark', async ({ directory }) => {
  const bundle = bundleOf(directory, LIE)
  const { rechecking, told, asked } = start(TRUTH, directory)
  rechecking.settled({ ...settled(bundle), jobId: '0'.repeat(64) })
  rechecking.settled(settled(join(directory, 'gone.bundle')))
  rechecking.foundOut(LIAR)
  await rechecking.idle()
  assert.equal(
    told.map(({ outcome }) => outcome),
    ['unchecked', 'unchecked'],
  )
  assert.match(told[0]!.reason, /another job/)
  assert.match(told[1]!.reason, /not there any more/)
  assert.not.ok(existsSync(join(directory, `gone.bundle${RECHECK_SUFFIX}`)))
  assert.equal(asked, [])
  rechecking.close()
})

test('an index that cannot be used costs only what a restart would remember', async ({ directory }) => {
  mkdirSync(join(directory, RECEIPTS_FILE))
  const { rechecking, told } = start(TRUTH, directory)
  rechecking.settled(settled(bundleOf(directory, LIE)))
  rechecking.foundOut(LIAR)
  await rechecking.idle()
  assert.is(told[0]?.outcome, 'wrong')
})

test('an answer for which the word of the others is enough is left alone until they are found out too', async ({
  directory,
}) => {
  const honest = seededSigner(3).peerId
  const asked: unknown[] = []
  let isEnough = true
  const { rechecking, told } = start(TRUTH, directory, (...about) => {
    asked.push(about)
    return isEnough
  })
  rechecking.settled(settled(bundleOf(directory, LIE)))
  rechecking.foundOut(LIAR)
  await rechecking.idle()
  assert.equal(told, [])
  assert.is(asked.length, 1)
  const [jobId, model, providers] = asked[0] as [string, string, string[]]
  assert.equal([jobId, model, providers.toSorted()], [JOB_ID, MODEL, [LIAR, honest].toSorted()])
  isEnough = false
  rechecking.foundOut(honest)
  await rechecking.idle()
  assert.equal(
    told.map(({ outcome, provider }) => [outcome, provider]),
    [['wrong', honest]],
  )
  rechecking.close()
})

test.run()

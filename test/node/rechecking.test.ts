import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { digestTensors, encodeTensors, float32Tensor } from '../../models/tensor/index.ts'
import { createBundle, sealReceipt } from '../../protocols/receipt/index.ts'
import { silentLog } from '../../src/node/index.ts'
import { createRechecking, RECHECK_SUFFIX, type Recheck } from '../../src/node/rechecking.ts'
import type { Verdict } from '../../src/verification/index.ts'
import { MODEL, SALT, testJob, testReceipt } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'

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

function start(outputs = TRUTH) {
  const told: Recheck[] = []
  const asked: string[] = []
  const rechecking = createRechecking({
    again: async (model) => {
      asked.push(model)
      return { outputs, by: 'this machine' }
    },
    onRecheck: (recheck) => told.push(recheck),
    log: silentLog,
  })
  return { rechecking, told, asked }
}

function settled(bundle: string | undefined, agreed = [LIAR, seededSigner(3).peerId], label = 'replicated') {
  const verdict = { label, agreed, disagreed: [], asked: 2, groups: 2 } as unknown as Verdict
  return { jobId: 'ab', model: MODEL, verdict, tau: 5e-5, bundle }
}

test('an answer that rested on an exposed key and was wrong is told and marked', async ({ directory }) => {
  const { rechecking, told } = start()
  const bundle = bundleOf(directory, LIE)
  rechecking.settled(settled(bundle))
  rechecking.exposed(LIAR)
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
  rechecking.exposed(LIAR)
  await rechecking.idle()
  assert.is(told[0]?.outcome, 'confirmed')
})

test('an answer a little beyond the tolerance of the exact run is not called wrong', async ({
  directory,
}) => {
  const near = encodeTensors([float32Tensor('y', [1], new Float32Array([2.0004]))])
  const { rechecking, told } = start()
  rechecking.settled(settled(bundleOf(directory, near)))
  rechecking.exposed(LIAR)
  await rechecking.idle()
  assert.is(told[0]?.outcome, 'unchecked')
})

test('what cannot be computed again is told as unchecked, with the reason', async ({ directory }) => {
  const { rechecking, told, asked } = start()
  rechecking.settled(settled(undefined))
  rechecking.exposed(LIAR)
  await rechecking.idle()
  rechecking.settled(settled(bundleOf(directory, LIE, true)))
  rechecking.exposed(LIAR)
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
  rechecking.exposed(LIAR)
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
  rechecking.settled({ ...settled(bundle, [LIAR], 'recomputed'), jobId: 'cd' })
  rechecking.exposed(LIAR)
  await rechecking.idle()
  assert.equal(told, [])
  assert.not.ok(existsSync(`${bundle}${RECHECK_SUFFIX}`))
})

test('an answer is checked again once, however often its key is exposed', async ({ directory }) => {
  const { rechecking, told } = start()
  rechecking.settled(settled(bundleOf(directory, LIE)))
  rechecking.exposed(LIAR)
  rechecking.exposed(LIAR)
  await rechecking.idle()
  assert.is(told.length, 1)
})

test.run()

/** `verimesh fraud`, as a person on a machine that has never met the mesh uses it. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createInProcessExactRuntime } from '../../models/runtime/index.ts'
import { digestTensors, encodeTensors, float32Tensor } from '../../models/tensor/index.ts'
import { decodeLeaf, encodeLeaf, hashLeaf, merkleRoot } from '../../models/trace/index.ts'
import { proveExecution } from '../../protocols/fraud/index.ts'
import { receiptDigest, sealReceipt, sealTraceCommitment } from '../../protocols/receipt/index.ts'
import { MODEL, SALT, testJob, testReceipt } from '../fixtures/jobs.ts'
import { scratchDirectory, stopNodes } from '../fixtures/nodes.ts'
import { buildAffineModel } from '../fixtures/onnx-builder.ts'
import { startProgram } from '../fixtures/processes.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'

const ONNX = buildAffineModel({ columns: 4, hidden: [6], outputs: 3 })
const LIAR = seededSigner(7)
let directory: string
let proof: string

test.before(async () => {
  directory = await scratchDirectory()
  proof = join(directory, 'liar.proof')
  await writeFile(join(directory, 'model.onnx'), ONNX)
  await writeFile(join(directory, 'other.onnx'), buildAffineModel({ columns: 4, outputs: 3 }))
  await writeFile(proof, await makeProof())
  await writeFile(join(directory, 'cut.proof'), (await makeProof()).subarray(0, 200))
})
test.after(stopNodes)

test('a proof is verified from the model and the proof alone', async () => {
  const { code, stdout } = await fraud('verify', proof, '--model', 'model.onnx', '--json')
  const found = JSON.parse(stdout)
  assert.is(code, 0, stdout)
  assert.equal([found.status, found.accused, found.kind], ['valid', LIAR.peerId, 'execution'])
})

test('a model may be a directory, and what is no model is told so', async () => {
  const model = join(directory, 'packed')
  await mkdir(model)
  await writeFile(join(model, 'the-only.onnx'), ONNX)
  const { code, stdout } = await fraud('verify', proof, '--model', 'packed')
  assert.is(code, 0, stdout)
  assert.match(stdout, /^ {2}at {5}step [1-9] of its trace \(/m, 'its last step, counted from 1')
  await writeFile(join(model, 'another.onnx'), ONNX)
  const ambiguous = await fraud('verify', proof, '--model', 'packed')
  assert.is(ambiguous.code, 1)
  assert.match(ambiguous.stderr, /several .onnx files/)
  const none = await fraud('verify', proof, '--model', 'liar.proof')
  assert.is(none.code, 1)
  assert.match(none.stderr, /neither a directory nor a .onnx file/)
  await writeFile(join(directory, 'broken.onnx'), ONNX.subarray(0, 40))
  const broken = await fraud('verify', proof, '--model', 'broken.onnx')
  assert.is(broken.code, 3)
  assert.match(broken.stdout, /undecided: .*does not load/)
})

test('without the model, or with another, it is undecided: exit code 3, and what to do', async () => {
  const without = await fraud('verify', proof)
  assert.is(without.code, 3)
  assert.match(without.stdout, /undecided/)
  assert.match(without.stderr, /--model/)
  const other = await fraud('verify', proof, '--model', 'other.onnx')
  assert.is(other.code, 3)
  assert.match(other.stderr, /another one/)
})

test('a proof that is cut short is invalid: exit code 4', async () => {
  const { code, stdout } = await fraud('verify', join(directory, 'cut.proof'), '--model', 'model.onnx')
  assert.is(code, 4)
  assert.match(stdout, /^invalid: this is no proof/)
})

test('show says what is claimed and that nothing was verified; list knows of nobody yet', async () => {
  const shown = await fraud('show', proof)
  assert.match(shown.stdout, /gave what it does not give/)
  assert.match(shown.stdout, new RegExp(`accused +${LIAR.peerId}`))
  assert.match(shown.stderr, /nothing of what it claims was verified/)
  const listed = await fraud('list', '--json')
  assert.equal(JSON.parse(listed.stdout), [])
})

test('what is no file and no known key is told so', async () => {
  const { code, stderr } = await fraud('verify', LIAR.peerId)
  assert.is(code, 1)
  assert.match(stderr, /no file, and no key/)
})

test.run()

function fraud(...args: string[]) {
  return startProgram('src/cli/main.ts', ['fraud', ...args, '--data', join(directory, 'data')], {
    cwd: directory,
  }).ended
}

/** The last step of an honest run, said to give something else. */
async function makeProof(): Promise<Uint8Array> {
  const exact = createInProcessExactRuntime(ONNX)
  const signal = new AbortController().signal
  const inputs = encodeTensors([float32Tensor('x', [1, 4], new Float32Array([1, 2, 3, 4]))])
  const { leaves: honest, outputs } = await exact.trace(inputs, signal)
  const plan = await exact.plan(signal)
  const last = decodeLeaf(honest.at(-1)!)
  const leaves = [...honest.slice(0, -1), encodeLeaf({ ...last, outputs: [new Uint8Array(32).fill(9)] })]
  const job = testJob(seededSigner(1), inputs, {
    policy: { replicas: 2, quorum: 2, referee: true, publicDisputes: true },
    model: MODEL,
  })
  const receipt = sealReceipt(LIAR, testReceipt(job.commitment, outputs))
  const commitment = sealTraceCommitment(LIAR, {
    receiptDigest: receiptDigest(receipt),
    jobCommitment: job.commitment,
    planRoot: plan.root,
    laneId: exact.info.version,
    leafCount: leaves.length,
    traceRoot: merkleRoot(leaves.map(hashLeaf)),
    outputDigest: digestTensors(SALT, outputs),
    outputBytes: outputs.byteLength,
  })
  const operands = await exact.operands(inputs, last.position, signal)
  const proven = await proveExecution(
    { job: job.envelope, receipt, commitment, leaves },
    { index: leaves.length - 1, operands },
    { plan, laneId: exact.info.version, runStep: (...step) => exact.runStep(...step) },
    signal,
  )
  return proven.bytes
}

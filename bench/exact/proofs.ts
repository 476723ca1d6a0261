/** A proof of execution against a liar in a real model: how long it takes to verify, warm and from nothing. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createExactRuntime, exactRuntimeInfo } from '../../models/runtime/index.ts'
import { createWasmEngine } from '../../models/runtime/wasm-engine.ts'
import { importSource } from '../../models/source/index.ts'
import { digestTensors, encodeTensors } from '../../models/tensor/index.ts'
import {
  ABSENT,
  decodeLeaf,
  digestValue,
  encodeLeaf,
  hashLeaf,
  merkleRoot,
} from '../../models/trace/index.ts'
import {
  type Accused,
  proveExecution,
  type VerifiableModel,
  verifyFraudProof,
} from '../../protocols/fraud/index.ts'
import { receiptDigest, sealReceipt, sealTraceCommitment } from '../../protocols/receipt/index.ts'
import { openLane } from '../../test/exact/lane.ts'
import { SALT, testReceipt } from '../../test/fixtures/jobs.ts'
import { PROVIDER, toyJob } from '../../test/fixtures/toy-parties.ts'
import { type Percentiles, percentiles } from './steps.ts'
import type { Subject } from './subjects.ts'

export interface ProofsRow {
  readonly model: string
  readonly proofs: number
  readonly bytes: Percentiles
  /** In a process that has the model loaded, each proof for the first time. */
  readonly warmMs: Percentiles
  /** `verimesh fraud verify FILE --model FILE` as a person calls it, not for the first time, from start to end. */
  readonly coldMs: Percentiles
  /** What of it the command itself spends on verifying. */
  readonly coldVerifyingMs: Percentiles
}

const COLD_RUNS = 5
const signal = AbortSignal.timeout(600_000)

/** `proofs` are spread over the steps of the run. */
export async function measureProofs(subject: Subject, proofs: number): Promise<ProofsRow> {
  const { model } = subject
  const workDirectory = await mkdtemp(join(tmpdir(), 'verimesh-bench-'))
  const { model: bytes } = model.load()
  const file = join(workDirectory, 'model.onnx')
  await writeFile(file, bytes)
  const { cid, manifest, directory } = await importSource(file, { workDirectory })
  const runtime = createExactRuntime({
    modelPath: join(directory, manifest.model),
    signature: manifest.signature,
  })
  try {
    const plan = await runtime.plan(signal)
    const verifiable: VerifiableModel = { plan, laneId: runtime.info.version, runStep: runtime.runStep }
    const files: string[] = []
    const [warmMs, sizes]: number[][] = [[], []]
    for await (const proof of makeProofs(subject, proofs, cid, verifiable)) {
      sizes!.push(proof.byteLength)
      const startedAt = performance.now()
      const verdict = await verifyFraudProof(proof, { modelOf: () => verifiable }, signal)
      warmMs!.push(performance.now() - startedAt)
      if (verdict.status !== 'valid') throw new Error(`a proof is ${verdict.status}`)
      files.push(join(workDirectory, `${files.length}.proof`))
      await writeFile(files.at(-1)!, proof)
    }
    const cold = await verifyCold(files.slice(0, COLD_RUNS), file)
    return {
      model: model.name,
      proofs,
      bytes: percentiles(sizes!),
      warmMs: percentiles(warmMs!),
      coldMs: percentiles(cold.map(({ ms }) => ms)),
      coldVerifyingMs: percentiles(cold.map(({ verifyingMs }) => verifyingMs)),
    }
  } finally {
    await runtime.close()
    await rm(workDirectory, { recursive: true, force: true })
  }
}

/** Against a liar who lies at one step, in turn at `count` of them that are spread over the run. */
export async function* makeProofs(
  subject: Subject,
  count: number,
  cid: string,
  verifiable: VerifiableModel,
): AsyncGenerator<Uint8Array> {
  const payload = encodeTensors(subject.inputs)
  const { outputs, leaves, operands } = await traceWithOperands(subject)
  for (let at = 0; at < count; at++) {
    const index = Math.floor(((at + 0.5) * leaves.length) / count)
    const lied = leaves.with(index, lieAbout(leaves[index]!))
    const accused = sign(lied, verifiable.plan.root, cid, payload, outputs)
    yield (await proveExecution(accused, { index, operands: operands[index]! }, verifiable, signal)).bytes
  }
}

/** The lie: the first output of the leaf is something else. */
function lieAbout(encoded: Uint8Array): Uint8Array {
  const leaf = decodeLeaf(encoded)
  const told = leaf.outputs.findIndex((digest) => Buffer.compare(digest, ABSENT) !== 0)
  const lie = digestValue({ dtype: 'uint8', dims: [0], data: new Uint8Array(0) })
  return encodeLeaf({ ...leaf, outputs: leaf.outputs.with(told, lie) })
}

function sign(
  leaves: readonly Uint8Array[],
  planRoot: Uint8Array,
  cid: string,
  inputs: Uint8Array,
  outputs: Uint8Array,
): Accused {
  const job = toyJob(inputs, { model: cid })
  const info = exactRuntimeInfo()
  const receipt = sealReceipt(
    PROVIDER,
    testReceipt(job.commitment, outputs, { runtime: { ...info, batched: false } }),
  )
  const commitment = sealTraceCommitment(PROVIDER, {
    receiptDigest: receiptDigest(receipt),
    jobCommitment: job.commitment,
    planRoot,
    laneId: info.version,
    leafCount: leaves.length,
    traceRoot: merkleRoot(leaves.map(hashLeaf)),
    outputDigest: digestTensors(SALT, outputs),
    outputBytes: outputs.byteLength,
  })
  return { job: job.envelope, receipt, commitment, leaves, salt: SALT, inputs, outputs }
}

async function traceWithOperands({
  model,
  inputs,
}: Subject): Promise<{ outputs: Uint8Array; leaves: Uint8Array[]; operands: Uint8Array[] }> {
  const leaves: Uint8Array[] = []
  const operands: Uint8Array[] = []
  const lane = openLane(model.load(), await createWasmEngine())
  const outputs = lane.walk(inputs, ({ leaf, payload }) => {
    leaves.push(encodeLeaf(leaf))
    operands.push(payload())
  })
  return { outputs: encodeTensors(outputs), leaves, operands }
}

async function verifyCold(
  proofs: readonly string[],
  model: string,
): Promise<{ ms: number; verifyingMs: number }[]> {
  const command = fileURLToPath(new URL('../../src/cli/launch.js', import.meta.url))
  const runs: { ms: number; verifyingMs: number }[] = []
  // The first run is not counted: it keeps what it compiles for the others.
  for (const [run, proof] of [...proofs.slice(0, 1), ...proofs].entries()) {
    const startedAt = performance.now()
    const args = [
      '--disable-warning=ExperimentalWarning',
      command,
      'fraud',
      'verify',
      proof,
      '--model',
      model,
    ]
    const { stdout } = await promisify(execFile)(process.execPath, [...args, '--json'])
    const { status, elapsedMs } = JSON.parse(stdout) as { status: string; elapsedMs: number }
    if (status !== 'valid') throw new Error(`a proof is ${status}`)
    if (run > 0) runs.push({ ms: performance.now() - startedAt, verifyingMs: elapsedMs })
  }
  return runs
}

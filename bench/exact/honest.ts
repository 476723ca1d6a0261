/**
 * Honest against honest: native answers with one thread and two, alone and in a batch, and of the graph without
 * optimisation, which stands for other machines, compared by the tolerance. Every sample, disputed or
 * not, is traced by two parties in the exact lane, on engines of their own, and judged: nobody may be condemned.
 */
import { createWasmEngine } from '../../models/runtime/wasm-engine.ts'
import { ELEMENT_BYTES, encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import { compareTensors, judge, settle } from '../../src/verification/index.ts'
import { type Lane, openLane } from '../../test/exact/lane.ts'
import { REAL_MODELS, TEST_SET, type TestModel } from '../../test/exact/models/index.ts'
import { type NativeModel, openNative } from '../../test/exact/native.ts'
import { inputDigests, runParty } from '../../test/exact/tampering.ts'

export interface HonestRow {
  readonly model: string
  readonly comparisons: number
  /** Pairs whose bytes differ at all. */
  readonly differing: number
  /** Of these, pairs of optimised runs: only threads and batches told them apart. */
  readonly differingOptimised: number
  /** Pairs of optimised runs. */
  readonly comparisonsOptimised: number
  /** Pairs further apart than the tolerance: a dispute about nothing. */
  readonly disputes: number
  /** Samples that two parties traced and the referee judged: only there could anybody be condemned. */
  readonly judged: number
  readonly condemned: number
  /** Pairs of exact traces that were not equal. */
  readonly unequalTraces: number
}

/** Tolerance of the catalogued OCR models. */
export const TAU = 5e-5
const BATCH = 4
/** Its scale is the whole batch's, so that no native tolerance fits it: it is checked in the exact lane only. */
export const EXACT_ONLY = 'dynamic-quantised'
/** Models whose rows share a batch. */
const BATCHED = ['ocr-detection', 'ocr-recognition', 'ocr-classification', 'dynamic-quantised', 'quantised']

export async function compareHonest(
  wanted: number,
  seed: number,
  tell: (line: string) => void,
): Promise<HonestRow[]> {
  // Those that onnxruntime computes, but not the one that is all constant: its table takes longer to load than all else.
  const models = TEST_SET.filter(({ native, name }) => typeof native === 'number' && name !== 'gather-40mb')
  const rows: HonestRow[] = []
  const others = models.length - REAL_MODELS.length
  for (const model of models) {
    // Half of them on models that people use.
    const share = wanted / 2 / (REAL_MODELS.includes(model) ? REAL_MODELS.length : others)
    const row = await compareModel(model, Math.ceil(share), seed)
    rows.push(row)
    tell(`${model.name}: ${row.comparisons} comparisons`)
  }
  return rows
}

async function compareModel(model: TestModel, wanted: number, seed: number): Promise<HonestRow> {
  const files = model.load()
  const natives = [await openNative(files, 1), await openNative(files, 2)]
  // As far apart as two processors may be: other code for the same graph.
  const unoptimised = await openNative(files, 1, 'disabled')
  const lanes = [
    openLane(files, await createWasmEngine()),
    openLane(files, await createWasmEngine()),
  ] as const
  const row = {
    comparisons: 0,
    comparisonsOptimised: 0,
    differing: 0,
    differingOptimised: 0,
    disputes: 0,
    judged: 0,
    condemned: 0,
    unequalTraces: 0,
  }
  for (let sample = 0; row.comparisons < wanted; sample++) {
    const inputs = model.inputs(seed * 100_003 + sample)
    const answers: Uint8Array[] = []
    for (const native of natives) {
      answers.push(encodeTensors(await native.run(inputs)))
      if (BATCHED.includes(model.name))
        answers.push(encodeTensors(await runBatched(native, model, inputs, sample)))
    }
    answers.push(encodeTensors(await unoptimised.run(inputs)))
    let disputes = 0
    for (const [at, left] of answers.entries()) {
      for (const [offset, right] of answers.slice(at + 1).entries()) {
        // The unoptimised run is the last.
        const isOptimised = at + 1 + offset < answers.length - 1
        row.comparisons++
        if (isOptimised) row.comparisonsOptimised++
        if (Buffer.compare(left, right) === 0) continue
        row.differing++
        if (isOptimised) row.differingOptimised++
        if (!compareTensors(left, right, TAU)) disputes++
      }
    }
    row.disputes += disputes
    const { isEqual, condemned } = judgeBoth(lanes, inputs)
    row.judged++
    row.condemned += condemned
    if (!isEqual) row.unequalTraces++
  }
  for (const native of [...natives, unoptimised]) await native.release()
  return { model: model.name, ...row }
}

/** The same row in a batch of others: `sample` decides where it lies. */
async function runBatched(
  native: NativeModel,
  model: TestModel,
  [input]: readonly Tensor[],
  sample: number,
): Promise<Tensor[]> {
  const rows: Tensor[] = []
  for (let other = 0; rows.length < BATCH - 1; other++) {
    const [row] = model.inputs(10_000_019 + 3 * sample + other)
    if (row!.dims.join() === input!.dims.join()) rows.push(row!)
  }
  const place = sample % BATCH
  rows.splice(place, 0, input!)
  const count = input!.dims[0]!
  const batch = {
    ...input!,
    dims: [BATCH * count, ...input!.dims.slice(1)],
    data: Buffer.concat(rows.map(({ data }) => data)),
  }
  return (await native.run([batch])).map(({ data, dims, ...output }) => {
    const bytes = data.byteLength / BATCH
    if (bytes % ELEMENT_BYTES[output.dtype] !== 0) throw new Error('the rows of a batch came out mixed')
    return {
      ...output,
      dims: [dims[0]! / BATCH, ...dims.slice(1)],
      data: data.subarray(place * bytes, (place + 1) * bytes),
    }
  })
}

function judgeBoth(
  [left, right]: readonly [Lane, Lane],
  inputs: readonly Tensor[],
): { isEqual: boolean; condemned: number } {
  const parties = [runParty(left, inputs).party, runParty(right, inputs).party] as const
  const judged = judge({
    plan: left.plan,
    inputs: inputDigests(left.plan, inputs),
    left: parties[0],
    right: parties[1],
  })
  const settled = [settle(judged.left, undefined), settle(judged.right, undefined)]
  return {
    isEqual: judged.divergence === undefined,
    condemned: settled.filter(({ status }) => status !== 'clear').length,
  }
}

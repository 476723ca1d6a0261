import { type Signature, verifyInputs } from '../manifest/index.ts'
import { decodeTensors, encodeTensorPieces, type Tensor } from '../tensor/index.ts'
import { RuntimeError } from './runtime.ts'

/** A loaded model: outputs by name for inputs by name. Throws what the engine throws. */
export type RunModel = (inputs: readonly Tensor[]) => Promise<readonly Tensor[]>

/** As `ExecutionOutcome`, with the payload in pieces that follow one another and without a digest, which the node makes. */
export type RawOutcome =
  | {
      readonly ok: true
      readonly outputs: readonly Uint8Array[]
      readonly batched: boolean
      readonly serviceMs: number
    }
  | { readonly ok: false; readonly error: RuntimeError }

export interface BatchExecution {
  readonly outcomes: readonly RawOutcome[]
  /** Set when rows could not share a batch and were run one by one: the model is not what its manifest says. */
  readonly note?: string
}

export interface BatchModel {
  readonly run: RunModel
  readonly signature: Signature
  readonly batching: boolean
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

/**
 * Checks the inputs of every entry, each a canonical payload, then runs the good ones: concatenated along the first dimension as
 * one run where the model allows it, else one by one. Where one run fails or its outputs do not have one row for each
 * row of input, the entries are run alone, so that only the one at fault fails. Never rejects.
 */
export async function executeBatch(model: BatchModel, batch: readonly Uint8Array[]): Promise<BatchExecution> {
  const outcomes: (RawOutcome | undefined)[] = new Array(batch.length)
  const good: { index: number; inputs: readonly Tensor[] }[] = []
  for (const [index, payload] of batch.entries()) {
    try {
      const inputs = decodeTensors(payload)
      verifyInputs(model.signature, inputs)
      good.push({ index, inputs })
    } catch (error) {
      outcomes[index] = { ok: false, error: toInputError(error) }
    }
  }

  let note: string | undefined
  if (model.batching && good.length > 1) {
    const shared = await runTogether(
      model,
      good.map(({ inputs }) => inputs),
    )
    if (typeof shared === 'string') note = shared
    else for (const [at, { index }] of good.entries()) outcomes[index] = shared[at]
  }
  for (const { index, inputs } of good) outcomes[index] ??= await runAlone(model, inputs)
  const complete = outcomes as RawOutcome[]
  return note === undefined ? { outcomes: complete } : { outcomes: complete, note }
}

/** A RuntimeError as it is; anything else that a check threw is the requester's fault. */
export function toInputError(error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error
  return new RuntimeError('input-mismatch', messageOf(error), { cause: error })
}

async function runAlone(model: BatchModel, inputs: readonly Tensor[]): Promise<RawOutcome> {
  const startedAt = model.now()
  try {
    const outputs = await model.run(inputs)
    const serviceMs = model.now() - startedAt
    return { ok: true, outputs: encodeTensorPieces(outputs), batched: false, serviceMs }
  } catch (error) {
    const message = `the engine could not run the model on these inputs: ${messageOf(error)}`
    return { ok: false, error: new RuntimeError('run-failed', message, { cause: error }) }
  }
}

/** The outcomes of one shared run, or why there is none. */
async function runTogether(
  model: BatchModel,
  entries: readonly (readonly Tensor[])[],
): Promise<readonly RawOutcome[] | string> {
  const rows: number[] = []
  for (const inputs of entries) {
    const count = inputs[0]?.dims[0]
    if (count === undefined || inputs.some((input) => input.dims[0] !== count)) {
      return 'the inputs of one entry do not have the same first dimension'
    }
    rows.push(count)
  }
  const total = rows.reduce((sum, count) => sum + count, 0)
  const startedAt = model.now()
  try {
    const outputs = await model.run(concatenate(entries, total))
    const serviceMs = model.now() - startedAt
    const odd = outputs.find((output) => output.dims[0] !== total)
    if (odd !== undefined) {
      return `output "${odd.name}" has the shape [${odd.dims.join(', ')}] for ${total} rows of input`
    }
    let from = 0
    return rows.map((count) => {
      const part = outputs.map((output) => sliceRows(output, from, count))
      from += count
      return { ok: true, outputs: encodeTensorPieces(part), batched: true, serviceMs }
    })
  } catch (error) {
    return `the shared run failed: ${messageOf(error)}`
  }
}

/** One tensor an input, with the rows of all entries. All entries list the same names in the same (canonical) order. */
function concatenate(entries: readonly (readonly Tensor[])[], total: number): readonly Tensor[] {
  return entries[0]!.map((first, position) => {
    const parts = entries.map((inputs) => inputs[position]!)
    for (const part of parts) {
      if (part.name !== first.name || part.dims.slice(1).join() !== first.dims.slice(1).join()) {
        throw new Error(`the entries differ in the shape of input "${first.name}"`)
      }
    }
    const data = new Uint8Array(parts.reduce((sum, part) => sum + part.data.byteLength, 0))
    let at = 0
    for (const part of parts) {
      data.set(part.data, at)
      at += part.data.byteLength
    }
    return { name: first.name, dtype: first.dtype, dims: [total, ...first.dims.slice(1)], data }
  })
}

function sliceRows(tensor: Tensor, from: number, count: number): Tensor {
  const rowBytes = tensor.data.byteLength / tensor.dims[0]!
  const data = tensor.data.subarray(from * rowBytes, (from + count) * rowBytes)
  return { name: tensor.name, dtype: tensor.dtype, dims: [count, ...tensor.dims.slice(1)], data }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

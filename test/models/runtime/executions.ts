import type { Signature } from '../../../models/manifest/index.ts'
import type { Execution, ExecutionOutcome } from '../../../models/runtime/index.ts'
import {
  decodeTensors,
  digestTensors,
  encodeTensors,
  float32Elements,
  float32Tensor,
  type Tensor,
} from '../../../models/tensor/index.ts'

const SALT = new Uint8Array(32).fill(7)

export function executionOf(...tensors: Tensor[]): Execution {
  const inputs = encodeTensors(tensors)
  return { inputs, salt: SALT, inputDigest: digestTensors(SALT, inputs) }
}

export function payloadOf(...tensors: Tensor[]): Uint8Array {
  return encodeTensors(tensors)
}

/** `x` of the given rows. */
export function rowsOf(...rows: number[][]): Tensor {
  return float32Tensor('x', [rows.length, rows[0]!.length], new Float32Array(rows.flat()))
}

/** The elements of the output `y`; checks that the digest is that of the bytes. */
export function resultOf(outcome: ExecutionOutcome | undefined): number[] {
  if (outcome === undefined) throw new Error('there is no outcome')
  if (!outcome.ok) throw outcome.error
  const { outputs, outputDigest } = outcome.value
  if (Buffer.compare(digestTensors(SALT, outputs), outputDigest) !== 0) throw new Error('wrong output digest')
  const y = decodeTensors(outputs).find((tensor) => tensor.name === 'y')
  if (y === undefined) throw new Error('there is no output "y"')
  return [...float32Elements(y)]
}

export function codeOf(outcome: ExecutionOutcome | undefined): string {
  if (outcome === undefined) return 'missing'
  return outcome.ok ? 'ok' : outcome.error.code
}

/** `x [batch, columns] -> y [batch, outputs]`, float32. */
export function signatureOf(columns: number | string, outputs = columns): Signature {
  return {
    inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', columns] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['batch', outputs] }],
  }
}

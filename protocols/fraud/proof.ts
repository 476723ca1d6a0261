/** What a fraud proof holds, and its bytes. Nothing is believed here: `verifyFraudProof` judges. */
import { createHash } from 'node:crypto'
import { PAYLOAD_BYTES_MAX, SALT_BYTES } from '../../models/tensor/index.ts'
import { LEAF_BYTES_MAX, LEAVES_MAX } from '../../models/trace/index.ts'
import { MessageReader, MessageWriter } from '../codec/index.ts'
import {
  SEALED_COMMITMENT_BYTES_MAX,
  SEALED_JOB_BYTES_MAX,
  SEALED_RECEIPT_BYTES_MAX,
} from '../receipt/index.ts'
import { PATH_BYTES_MAX, PROVEN_LEAF_BYTES_MAX, PROVEN_LEAVES_MAX } from './constants.ts'
import { asFraudErrors, FraudError } from './errors.ts'
import { PROOF_BYTES_MAX } from './exchange-constants.ts'

/** What the accused signed about one run: sealed envelopes. */
export interface TraceStatements {
  readonly job: Uint8Array
  readonly receipt: Uint8Array
  readonly commitment: Uint8Array
}

/** A leaf of the trace that the commitment names. */
export interface ProvenLeaf {
  readonly index: number
  /** Encoded; need not be a leaf, where that is the contradiction. */
  readonly bytes: Uint8Array
  /** See `merklePath`. */
  readonly path: readonly Uint8Array[]
}

export type FraudProof =
  | ShapeProof
  | OperandProof
  | OutputProof
  | ReceiptProof
  | ExecutionProof
  | ReceiptsProof
  | CommitmentsProof

/** The plan does not allow these leaves: none at all, one, or two neighbours. */
export interface ShapeProof extends TraceStatements {
  readonly claim: 'shape'
  readonly leaves: readonly ProvenLeaf[]
}

/** An operand of the first leaf is not the value that the plan says. */
export interface OperandProof extends TraceStatements {
  readonly claim: 'operand'
  /** The leaf in question; then, as the plan asks for them, the decision of its If and the leaf that made the value. */
  readonly leaves: readonly ProvenLeaf[]
  readonly operand: number
  /** Where the value is an input of the model. */
  readonly given?: SaltedPayload
}

/** The outputs that the accused signed are not those of its trace. */
export interface OutputProof extends TraceStatements {
  readonly claim: 'output'
  /** In the plan's order; undefined where the payload does not hold the plan's outputs at all. */
  readonly output?: number
  /** The leaf that made the output, if one did. */
  readonly leaves: readonly ProvenLeaf[]
  readonly salt: Uint8Array
  readonly outputs: Uint8Array
  /** Where the output is an input of the model. */
  readonly inputs?: Uint8Array
}

/** The receipt, of the same lane, states other outputs than the commitment. */
export interface ReceiptProof extends TraceStatements {
  readonly claim: 'receipt'
}

/** Running the step gives something else than the leaf says. */
export interface ExecutionProof extends TraceStatements {
  readonly claim: 'execution'
  readonly leaf: ProvenLeaf
  /** See `ExactRuntime.operands`; empty where the step has none that are not constants. */
  readonly operands: Uint8Array
}

/** Two receipts of the exact lane for one job, with different outputs. */
export interface ReceiptsProof {
  readonly claim: 'receipts'
  readonly job: Uint8Array
  readonly receipts: readonly [Uint8Array, Uint8Array]
}

/** Two trace commitments for one job, with different traces or outputs. */
export interface CommitmentsProof {
  readonly claim: 'commitments'
  readonly job: Uint8Array
  readonly commitments: readonly [Uint8Array, Uint8Array]
}

/** The job's inputs, with the salt under which they have the digest that the job states. */
export interface SaltedPayload {
  readonly salt: Uint8Array
  readonly inputs: Uint8Array
}

/** Throws FraudError `malformed` where a value is outside its limits, `too-large` where all together are. */
export function encodeFraudProof(proof: FraudProof): Uint8Array {
  const bytes = asFraudErrors(() => write(proof))
  decodeFraudProof(bytes)
  return bytes
}

/** Strict inverse of `encodeFraudProof`; everything looks into `bytes`. Throws FraudError `malformed` or `too-large`. */
export function decodeFraudProof(bytes: Uint8Array): FraudProof {
  if (bytes.byteLength > PROOF_BYTES_MAX) {
    throw new FraudError(
      'too-large',
      `a proof may have ${PROOF_BYTES_MAX} bytes; this one has ${bytes.byteLength}`,
    )
  }
  return asFraudErrors(() => {
    const reader = new MessageReader(bytes, 'fraud proof')
    const proof = read(reader)
    reader.end()
    return proof
  })
}

/** SHA-256 of a proof's bytes, as 64 lowercase hexadecimal digits. */
export function fraudProofId(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

const VERSION = 1
const CLAIMS = ['shape', 'operand', 'output', 'receipt', 'execution', 'receipts', 'commitments'] as const
const JOB = { min: 1, max: SEALED_JOB_BYTES_MAX }
const SALT = { min: SALT_BYTES, max: SALT_BYTES }
const PAYLOAD = { min: 1, max: PAYLOAD_BYTES_MAX }
/** A leaf has no more; which of them are there, the leaf tells. */
const OPERAND_MAX = LEAF_BYTES_MAX / 32

function write(proof: FraudProof): Uint8Array {
  const writer = new MessageWriter()
    .uint(1, VERSION)
    .uint(2, CLAIMS.indexOf(proof.claim) + 1)
    .bytes(3, proof.job)
  if (proof.claim === 'receipts') return writer.repeatedBytes(4, proof.receipts).finish()
  if (proof.claim === 'commitments') return writer.repeatedBytes(5, proof.commitments).finish()
  writer.repeatedBytes(4, [proof.receipt]).repeatedBytes(5, [proof.commitment])
  switch (proof.claim) {
    case 'shape':
      return writer.repeatedBytes(6, proof.leaves.map(writeLeaf)).finish()
    case 'operand':
      writer.repeatedBytes(6, proof.leaves.map(writeLeaf)).uint(7, proof.operand)
      if (proof.given !== undefined) writer.bytes(9, proof.given.salt).bytes(10, proof.given.inputs)
      return writer.finish()
    case 'output':
      return writer
        .repeatedBytes(6, proof.leaves.map(writeLeaf))
        .uint(8, proof.output === undefined ? 0 : proof.output + 1)
        .bytes(9, proof.salt)
        .bytes(10, proof.inputs ?? EMPTY)
        .bytes(11, proof.outputs)
        .finish()
    case 'receipt':
      return writer.finish()
    case 'execution':
      return writer
        .repeatedBytes(6, [writeLeaf(proof.leaf)])
        .bytes(12, proof.operands)
        .finish()
    default:
      return proof satisfies never
  }
}

function read(reader: MessageReader): FraudProof {
  reader.uint(1, { min: VERSION, max: VERSION })
  const claim = CLAIMS[reader.uint(2, { min: 1, max: CLAIMS.length }) - 1]!
  const job = reader.bytes(3, JOB)
  if (claim === 'receipts') return { claim, job, receipts: pair(reader, 4, SEALED_RECEIPT_BYTES_MAX) }
  if (claim === 'commitments')
    return { claim, job, commitments: pair(reader, 5, SEALED_COMMITMENT_BYTES_MAX) }
  const receipt = reader.bytes(4, { min: 1, max: SEALED_RECEIPT_BYTES_MAX })
  const commitment = reader.bytes(5, { min: 1, max: SEALED_COMMITMENT_BYTES_MAX })
  const statements = { job, receipt, commitment }
  switch (claim) {
    case 'shape':
      return { claim, ...statements, leaves: readLeaves(reader, 0, 2) }
    case 'operand': {
      const leaves = readLeaves(reader, 1, PROVEN_LEAVES_MAX)
      const operand = reader.uint(7, { max: OPERAND_MAX })
      const salt = reader.bytes(9, { max: SALT_BYTES })
      if (salt.byteLength === 0) return { claim, ...statements, leaves, operand }
      if (salt.byteLength !== SALT_BYTES) throw new FraudError('malformed', 'a salt has another length')
      return { claim, ...statements, leaves, operand, given: { salt, inputs: reader.bytes(10, PAYLOAD) } }
    }
    case 'output': {
      const leaves = readLeaves(reader, 0, 1)
      const output = reader.uint(8, { max: OPERAND_MAX })
      const salt = reader.bytes(9, SALT)
      const inputs = reader.bytes(10, { max: PAYLOAD_BYTES_MAX })
      return {
        claim,
        ...statements,
        leaves,
        ...(output === 0 ? {} : { output: output - 1 }),
        salt,
        ...(inputs.byteLength === 0 ? {} : { inputs }),
        outputs: reader.bytes(11, PAYLOAD),
      }
    }
    case 'receipt':
      return { claim, ...statements }
    case 'execution': {
      const [leaf] = readLeaves(reader, 1, 1)
      return { claim, ...statements, leaf: leaf!, operands: reader.bytes(12, { max: PAYLOAD_BYTES_MAX }) }
    }
    default:
      return claim satisfies never
  }
}

/** In ascending order, so that a pair has one encoding; and not twice the same. */
function pair(reader: MessageReader, field: number, max: number): [Uint8Array, Uint8Array] {
  const [first, second] = reader.repeatedBytes(field, { max, countMax: 2 })
  if (first === undefined || second === undefined || Buffer.compare(first, second) >= 0) {
    throw new FraudError('malformed', 'two different statements are needed, in ascending order')
  }
  return [first, second]
}

function writeLeaf({ index, bytes, path }: ProvenLeaf): Uint8Array {
  return (
    new MessageWriter()
      .uint(1, index)
      .bytes(2, Buffer.concat(path))
      .bytes(3, bytes)
      // An element has one byte at least, and the first leaf of a tree of one may be nothing at all.
      .uint(4, 1)
      .finish()
  )
}

function readLeaves(reader: MessageReader, min: number, max: number): ProvenLeaf[] {
  const entries = reader.repeatedBytes(6, { max: PROVEN_LEAF_BYTES_MAX, countMax: max })
  if (entries.length < min) throw new FraudError('malformed', 'a leaf is missing')
  return entries.map((entry) => {
    const leaf = new MessageReader(entry, 'leaf of a fraud proof')
    const index = leaf.uint(1, { max: LEAVES_MAX })
    const path = leaf.bytes(2, { max: PATH_BYTES_MAX })
    const bytes = leaf.bytes(3, { max: LEAF_BYTES_MAX })
    leaf.uint(4, { min: 1, max: 1 })
    leaf.end()
    if (path.byteLength % 32 !== 0) throw new FraudError('malformed', 'a path is cut short')
    const siblings = Array.from({ length: path.byteLength / 32 }, (_sibling, at) =>
      path.subarray(at * 32, at * 32 + 32),
    )
    return { index, bytes, path: siblings }
  })
}

const EMPTY = new Uint8Array(0)

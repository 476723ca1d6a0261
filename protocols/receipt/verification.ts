import { createTensorDigest } from '../../models/tensor/index.ts'
import { type Bundle, type BundleLabel, type BundleReceipt, decodeBundle } from './bundle.ts'
import { DIGEST_PIECE_BYTES } from './constants.ts'
import { ReceiptError } from './errors.ts'
import { explainVerdict, verifyTraces, verifyVerdict } from './verdict.ts'

/** What a bundle was found to be. Every check in it passed: a failed one throws. */
export interface BundleReport {
  readonly jobId: string
  readonly label: BundleLabel
  /** Providers whose receipts were counted for the answer, ascending. */
  readonly agreed: readonly string[]
  readonly disagreed: readonly string[]
  readonly asked: number
  /** Each thing that was checked, in a sentence. */
  readonly checks: readonly string[]
  /** What follows from the checks, and what does not, in sentences for a person. */
  readonly shows: readonly string[]
  readonly doesNotShow: readonly string[]
  readonly bundle: Bundle
}

/**
 * Verifies a bundle, offline and without trusting anyone: every signature, every commitment, the payloads that are
 * there, and that the verdict claims no more than its receipts show. Throws ReceiptError.
 *
 * `pause` is awaited between pieces of a mebibyte, so that a large bundle does not hold up whoever verifies it.
 */
export async function verifyBundle(
  bytes: Uint8Array,
  pause: () => Promise<void> = async () => {},
): Promise<BundleReport> {
  const bundle = decodeBundle(bytes)
  const { job, receipts, verdict } = bundle
  const checks = [
    `The requester ${job.job.requester} signed the bundle and the job in it.`,
    `${receipts.length} receipt(s) are signed by as many different providers.`,
  ]
  for (const entry of receipts) verifyBelonging(entry, bundle)
  checks.push('Every receipt is about this job and ran in the lane that it asked for.')
  if (bundle.inputs !== undefined) {
    await verifyInputs(bundle, bundle.inputs, pause)
    checks.push('The inputs are those that the job states.')
  }
  if (bundle.outputs !== undefined) {
    await verifyOutputs(bundle, bundle.outputs, pause)
    checks.push('The outputs are the accepted ones.')
  }
  verifyTraces(bundle)
  if (bundle.traces.length > 0) {
    checks.push(
      `${bundle.traces.length} trace commitment(s) are signed by the providers of as many receipts, and of one exact run.`,
    )
  }
  verifyVerdict(bundle)
  checks.push(`The verdict "${verdict.label}" claims no more than the bundle shows.`)
  const { shows, doesNotShow } = explainVerdict(bundle)
  if (bundle.inputs === undefined)
    doesNotShow.push('What the inputs were: the bundle holds only their digest.')
  if (bundle.outputs === undefined)
    doesNotShow.push('What the outputs were: the bundle holds only their digest.')
  doesNotShow.push('When it happened: the times are what requester and providers say.')
  return {
    jobId: Buffer.from(job.commitment).toString('hex'),
    label: verdict.label,
    agreed: receipts.filter((entry) => entry.agreed).map(({ provider }) => provider),
    disagreed: receipts.filter((entry) => !entry.agreed).map(({ provider }) => provider),
    asked: verdict.asked,
    checks,
    shows,
    doesNotShow,
    bundle,
  }
}

function verifyBelonging({ receipt, provider }: BundleReceipt, { job }: Bundle): void {
  if (Buffer.compare(receipt.jobCommitment, job.commitment) !== 0) {
    throw new ReceiptError('wrong-job', `the receipt of ${provider} is about another job`)
  }
  if (receipt.runtime.lane !== job.job.lane) {
    throw new ReceiptError(
      'wrong-lane',
      `${provider} ran the ${receipt.runtime.lane} lane, not ${job.job.lane}`,
    )
  }
}

async function verifyInputs(
  { job, salt }: Bundle,
  inputs: Uint8Array,
  pause: () => Promise<void>,
): Promise<void> {
  if (inputs.byteLength !== job.job.inputBytes) {
    throw new ReceiptError(
      'wrong-input',
      `${inputs.byteLength} bytes of inputs, the job states ${job.job.inputBytes}`,
    )
  }
  if (Buffer.compare(await digest(salt, inputs, pause), job.job.inputDigest) !== 0) {
    throw new ReceiptError('wrong-input', 'the inputs do not have the digest that the job states')
  }
}

async function verifyOutputs(bundle: Bundle, outputs: Uint8Array, pause: () => Promise<void>): Promise<void> {
  if (Buffer.compare(await digest(bundle.salt, outputs, pause), bundle.acceptedDigest) !== 0) {
    throw new ReceiptError('wrong-output', 'the outputs do not have the accepted digest')
  }
  const statements = [
    ...bundle.receipts.map(({ provider, receipt }) => ({ who: `the receipt of ${provider}`, ...receipt })),
    ...bundle.traces.map(({ provider, commitment }) => ({ who: `the trace of ${provider}`, ...commitment })),
    ...(bundle.ownRun === undefined ? [] : [{ who: "the requester's own run", ...bundle.ownRun }]),
  ]
  for (const { who, outputDigest, outputBytes } of statements) {
    if (outputBytes === outputs.byteLength || Buffer.compare(outputDigest, bundle.acceptedDigest) !== 0)
      continue
    throw new ReceiptError('wrong-output', `${who} states another length of the outputs`)
  }
}

async function digest(
  salt: Uint8Array,
  payload: Uint8Array,
  pause: () => Promise<void>,
): Promise<Uint8Array> {
  const hash = createTensorDigest(salt)
  for (let at = 0; at < payload.byteLength; at += DIGEST_PIECE_BYTES) {
    if (at > 0) await pause()
    hash.update(payload.subarray(at, at + DIGEST_PIECE_BYTES))
  }
  return hash.digest()
}

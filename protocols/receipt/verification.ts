import { createTensorDigest } from '../../models/tensor/index.ts'
import { type Bundle, type BundleLabel, type BundleReceipt, decodeBundle } from './bundle.ts'
import { DIGEST_PIECE_BYTES } from './constants.ts'
import { ReceiptError } from './errors.ts'

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
  const agreed = receipts.filter((entry) => entry.agreed)
  verifyVerdict(bundle, agreed)
  checks.push(`The verdict "${verdict.label}" claims no more than the receipts show.`)
  return {
    jobId: Buffer.from(job.commitment).toString('hex'),
    label: verdict.label,
    agreed: agreed.map(({ provider }) => provider),
    disagreed: receipts.filter((entry) => !entry.agreed).map(({ provider }) => provider),
    asked: verdict.asked,
    checks,
    ...explain(bundle, agreed),
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
  for (const { provider, receipt } of bundle.receipts) {
    if (equals(receipt.outputDigest, bundle.acceptedDigest) && receipt.outputBytes !== outputs.byteLength) {
      throw new ReceiptError(
        'wrong-output',
        `the receipt of ${provider} states another length of the outputs`,
      )
    }
  }
}

function verifyVerdict(
  { job, receipts, verdict, acceptedDigest }: Bundle,
  agreed: readonly BundleReceipt[],
): void {
  const equal = receipts.filter(({ receipt }) => equals(receipt.outputDigest, acceptedDigest))
  if (equal.length === 0) weak('no provider signed the accepted outputs')
  for (const { provider, agreed } of equal) {
    if (!agreed) weak(`${provider} signed the accepted outputs and is counted against them`)
  }
  if (job.job.lane === 'exact' && equal.length !== agreed.length) {
    weak('in the exact lane only equal outputs agree')
  }
  if (receipts.length > verdict.asked) weak('more providers answered than were asked')
  if (verdict.groups < 1 || verdict.groups > agreed.length) {
    weak(`${agreed.length} providers cannot come from ${verdict.groups} address groups`)
  }
  const needed = verdict.label === 'replicated' ? Math.max(2, job.job.policy.quorum) : 1
  if (agreed.length < needed) {
    weak(`"${verdict.label}" needs ${needed} providers that agree; the bundle has ${agreed.length}`)
  }
}

function explain(
  bundle: Bundle,
  agreed: readonly BundleReceipt[],
): Pick<BundleReport, 'shows' | 'doesNotShow'> {
  const { job, verdict, acceptedDigest } = bundle
  const equal = agreed.filter(({ receipt }) => equals(receipt.outputDigest, acceptedDigest)).length
  const within = agreed.length - equal
  const shows = [
    `${equal} provider(s) signed that model ${job.job.model} gave exactly the accepted outputs for this job.`,
  ]
  if (within > 0) {
    shows.push(
      `${within} more signed outputs of their own for this job, which the requester says lie within the tolerance ${job.job.tau}.`,
    )
  }
  const doesNotShow = [
    verdict.label === 'signed'
      ? 'That the model ran: it is the word of whoever signed.'
      : 'Anything, if the providers that agree are one person or act together. That they are not is what the requester says, unless you trust their keys.',
    `That ${verdict.asked} were asked, and that those who agree come from ${verdict.groups} address group(s): the requester says so.`,
  ]
  if (within > 0)
    doesNotShow.push('That the outputs that differ are within the tolerance: they are not in the bundle.')
  if (agreed.some(({ provider }) => provider === job.job.requester)) {
    doesNotShow.push('Independence: the requester is itself among those who agree.')
  }
  if (bundle.inputs === undefined)
    doesNotShow.push('What the inputs were: the bundle holds only their digest.')
  if (bundle.outputs === undefined)
    doesNotShow.push('What the outputs were: the bundle holds only their digest.')
  doesNotShow.push('When it happened: the times are what requester and providers say.')
  return { shows, doesNotShow }
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

function equals(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

function weak(why: string): never {
  throw new ReceiptError('weak-verdict', why)
}

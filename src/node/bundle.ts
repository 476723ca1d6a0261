import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Signer } from '../../protocols/envelope/index.ts'
import { createBundle, type ExactRun } from '../../protocols/receipt/index.ts'
import type { Verdict } from '../verification/index.ts'
import type { SignedJob } from './job.ts'

export interface BundleParts {
  readonly job: SignedJob
  readonly accepted: { readonly outputs: Uint8Array; readonly outputDigest: Uint8Array }
  readonly receipts: readonly { readonly envelope: Uint8Array; readonly agreed: boolean }[]
  /** What a run decided rests on: sealed trace commitments that are alike, and this node's own run. */
  readonly traces: readonly Uint8Array[]
  readonly ownRun: ExactRun | undefined
  readonly verdict: Verdict
  readonly closedAtMs: number
  readonly digestsOnly: boolean
}

/**
 * Writes the signed result bundle as `<jobId>.bundle` and resolves with its path. It appears whole or not at all.
 * Throws ReceiptError, or BundleError where the file cannot be written.
 */
export async function writeBundle(
  parts: BundleParts,
  place: { readonly signer: Signer; readonly directory: string },
): Promise<string> {
  const { job, accepted, receipts, traces, ownRun, verdict, closedAtMs, digestsOnly } = parts
  const bytes = createBundle(place.signer, {
    job: job.envelope,
    salt: job.salt,
    ...(digestsOnly ? {} : { inputs: job.inputs, outputs: accepted.outputs }),
    acceptedDigest: accepted.outputDigest,
    receipts,
    traces,
    ...(ownRun === undefined ? {} : { ownRun }),
    verdict: { label: verdict.label, asked: verdict.asked, groups: verdict.groups },
    closedAtMs,
  })
  const path = join(place.directory, `${job.id}.bundle`)
  const partial = `${path}.partial`
  try {
    await mkdir(place.directory, { recursive: true })
    await writeFile(partial, bytes, { mode: 0o600 })
    await rename(partial, path)
  } catch (cause) {
    // Where the directory is none, there is nothing to remove either.
    await rm(partial, { force: true }).catch(() => undefined)
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    const full = DISK_FULL.includes(code)
    throw new BundleError(
      full ? 'disk-full' : 'unwritable',
      full
        ? `no space left for the receipt ${path}: free ${bytes.byteLength} bytes or choose another directory; the answer itself is unharmed`
        : `the receipt ${path} cannot be written${code === '' ? '' : ` (${code})`}; the answer itself is unharmed`,
      { cause },
    )
  }
  return path
}

/** No room on the disk, in the person's quota, or in what a process may write. */
const DISK_FULL: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG']

export class BundleError extends Error {
  override readonly name = 'BundleError'
  readonly code: 'disk-full' | 'unwritable'

  constructor(code: 'disk-full' | 'unwritable', message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

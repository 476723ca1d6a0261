import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { Command } from 'commander'
import { decodeTensors, encodeNpy } from '../../models/tensor/index.ts'
import {
  BUNDLE_BYTES_MAX,
  type BundleReport,
  ReceiptError,
  verifyBundle,
} from '../../protocols/receipt/index.ts'
import { printable, RECHECK_SUFFIX, type Recheck } from '../node/index.ts'
import { CommandError } from './failure.ts'
import type { Terminal } from './terminal.ts'

interface VerifyOptions {
  readonly json: boolean
  readonly unpack?: string
}

export function addReceiptCommands(program: Command, terminal: Terminal): void {
  const receipt = program.command('receipt').description('check the receipts of answers, offline')
  receipt
    .command('verify')
    .argument('<file>', 'a result bundle, as `infer`, `run` and the demo leave them (*.bundle)')
    .description(
      'check every signature and digest of a result bundle, offline; exit code 1 if anything was changed',
    )
    .option('--json', 'print one JSON object', false)
    .option('--unpack <dir>', 'also write the inputs and outputs there as .npy files')
    .addHelpText('after', '\nExample:\n  verimesh receipt verify ~/.verimesh/receipts/3fe1....bundle\n')
    .action((file: string, options: VerifyOptions) => verify(file, options, terminal))
}

async function verify(file: string, options: VerifyOptions, terminal: Terminal): Promise<void> {
  const report = await verifyBundle(await readBounded(file), () => turn()).catch((error: unknown) => {
    if (!(error instanceof ReceiptError)) throw error
    throw new ReceiptError(
      error.code,
      `${error.message}. ${file} was changed or damaged since it was signed, or is no result bundle: do not rely on it`,
      { cause: error.cause },
    )
  })
  const unpacked = options.unpack === undefined ? [] : await unpack(report, options.unpack)
  const recheck = await readMark(file)
  if (options.json) {
    return terminal.printJson({
      file,
      valid: true,
      ...describe(report),
      unpacked,
      ...(recheck === undefined ? {} : { recheck }),
    })
  }
  terminal.print(`${file}: intact`)
  terminal.print(`  ${headline(report)}`)
  if (recheck !== undefined) {
    print(terminal, 'In doubt since it was received:', [
      `${recheck.provider}, on whose word it rested, was proved to have lied elsewhere.`,
      `It was run again: ${recheck.outcome} (${recheck.reason}).`,
    ])
  }
  print(terminal, 'Checked, offline:', report.checks)
  print(terminal, 'It shows:', report.shows)
  print(terminal, 'It does not show:', report.doesNotShow)
  print(terminal, 'Unpacked:', unpacked)
}

function headline({ label, agreed, asked, bundle }: BundleReport): string {
  const verdict = label === 'replicated' ? `replicated ${agreed.length}/${asked}` : label
  return `${verdict}, model ${bundle.job.job.model}, requester ${bundle.job.job.requester}`
}

function describe(report: BundleReport): Record<string, unknown> {
  const { jobId, label, agreed, disagreed, asked, checks, shows, doesNotShow, bundle } = report
  const { requester, model, lane, policy, tau, createdAtMs, deadlineAtMs, inputDigest } = bundle.job.job
  return {
    jobId,
    label,
    agreed,
    disagreed,
    asked,
    groups: bundle.verdict.groups,
    job: { requester, model, lane, policy, tau, createdAtMs, deadlineAtMs, inputDigest: hex(inputDigest) },
    outputDigest: hex(bundle.acceptedDigest),
    receipts: bundle.receipts.map(({ provider, agreed: counted, receipt }) => ({
      provider,
      agreed: counted,
      outputDigest: hex(receipt.outputDigest),
      runtime: receipt.runtime,
      startedAtMs: receipt.startedAtMs,
      finishedAtMs: receipt.finishedAtMs,
    })),
    checks,
    shows,
    doesNotShow,
  }
}

async function unpack({ bundle }: BundleReport, directory: string): Promise<string[]> {
  const written: string[] = []
  for (const [kind, payload] of Object.entries({ inputs: bundle.inputs, outputs: bundle.outputs })) {
    if (payload === undefined) continue
    await mkdir(join(directory, kind), { recursive: true })
    for (const tensor of decodeTensors(payload)) {
      const path = join(directory, kind, `${fileName(tensor.name)}.npy`)
      await writeFile(path, encodeNpy(tensor))
      written.push(path)
    }
  }
  return written
}

/** The mark beside a bundle that rested on a key which was exposed later; undefined where there is none. */
async function readMark(file: string): Promise<Pick<Recheck, 'provider' | 'outcome' | 'reason'> | undefined> {
  const text = await readFile(`${file}${RECHECK_SUFFIX}`, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Recheck)
}

/** A tensor may be called anything; a file may not. */
export function fileName(tensor: string): string {
  const safe = tensor.replace(/[^A-Za-z0-9._-]/g, '_')
  return safe.startsWith('.') ? `_${safe}` : safe
}

async function readBounded(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file)
    if (size > BUNDLE_BYTES_MAX) {
      throw new ReceiptError(
        'too-large',
        `a result bundle has ${BUNDLE_BYTES_MAX} bytes at most; ${file} has ${size}`,
      )
    }
    return await readFile(file)
  } catch (cause) {
    if (cause instanceof ReceiptError) throw cause
    throw new CommandError('unreadable-input', `cannot read ${file}`, { cause })
  }
}

function print(terminal: Terminal, title: string, lines: readonly string[]): void {
  if (lines.length === 0) return
  terminal.print(`  ${title}`)
  for (const line of lines) terminal.print(`    - ${printable(line)}`)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

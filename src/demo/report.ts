import type { PageLine } from '../../models/task/index.ts'
import { disputeLine } from '../cli/index.ts'
import type { DisputeReport, Recheck } from '../node/index.ts'
import { DEMO_REPLICAS } from './arguments.ts'
import type { Role } from './processes.ts'
import type { DemoJob, Dissent } from './reading.ts'

export interface DemoOutcome {
  readonly text: string
  readonly lines: readonly PageLine[]
  readonly liarsReading: readonly Dissent[]
  readonly jobs: readonly DemoJob[]
  readonly disputes: readonly DisputeReport[]
  /** Answers that rested on a key which was exposed later, run again. */
  readonly rechecks: readonly Recheck[]
  readonly accepted: number
  /** Accepted answers that differ from a local run by more than the model's tolerance. */
  readonly wrong: number
  /** White space aside; undefined for a page whose text is not known. */
  readonly characterErrorRate: number | undefined
  readonly providers: readonly {
    readonly peerId: string
    readonly role: Role
    readonly results: number
    readonly disagreed: number
  }[]
  readonly receipts: string
  /** From the first job to the last accepted answer. */
  readonly meshMs: number
  readonly elapsedMs: number
}

/** What `--json` prints. */
export function jsonOf(outcome: DemoOutcome): Record<string, unknown> {
  const { text, lines, jobs, accepted, wrong, characterErrorRate, providers, receipts, elapsedMs } = outcome
  return {
    text,
    lines: lines.map((line) => line.text),
    jobs: jobs.length,
    accepted,
    wrong,
    labels: labelCounts(outcome),
    disputes: outcome.disputes.map(disputeJson),
    rechecks: outcome.rechecks.map(({ jobId, provider, outcome: found }) => ({
      job: jobId,
      provider,
      outcome: found,
    })),
    characterErrorRate: characterErrorRate ?? null,
    providers,
    receipts,
    elapsedMs: Math.round(elapsedMs),
  }
}

/** For people: the liar's reading beside the accepted one, who agreed, and where the receipts lie. */
export function printOutcome(outcome: DemoOutcome): void {
  const print = (line = ''): void => {
    process.stdout.write(`${line}\n`)
  }
  print()
  for (const line of outcome.text.split('\n')) print(`  ${line}`.trimEnd())
  print()
  if (outcome.liarsReading.length > 0) {
    print('What others read instead (- theirs, + accepted):')
    for (const { line, provider, told, accepted } of outcome.liarsReading
      .slice()
      .sort((a, b) => a.line - b.line)) {
      print(`  line ${line + 1}, ${short(provider)}`)
      print(`    - ${told}`)
      print(`    + ${accepted}`)
      print(`      ${differences(told, accepted)}`)
    }
    print()
  }
  if (outcome.disputes.length > 0) {
    print('Disputes, each settled by running one step again:')
    for (const dispute of outcome.disputes) {
      print(`  ${labelOf(outcome, dispute)}: ${disputeLine(dispute)}`)
    }
    print()
  }
  for (const { jobId, provider, outcome: found } of outcome.rechecks) {
    print(
      `${labelById(outcome, jobId)} rested on ${short(provider)}, a liar as it turned out; run again: ${found}`,
    )
  }
  if (outcome.rechecks.length > 0) print()
  printProviders(outcome, print)
  const failed = outcome.jobs.filter(({ failure }) => failure !== undefined)
  for (const { label, failure } of failed) print(`no answer for ${label}: ${failure}`)
  const rate = outcome.characterErrorRate
  print(
    `${outcome.accepted} of ${outcome.jobs.length} jobs answered, ${outcome.wrong} of them wrong (computed again here).`,
  )
  const labels = Object.entries(labelCounts(outcome)).map(([label, count]) => `${count} ${label}`)
  print(`They rest on: ${labels.join(', ')}.`)
  if (labelCounts(outcome).recomputed !== undefined) {
    print('(recomputed: by the requester itself, where too few others were left to ask or it was told to.)')
  }
  if (outcome.wrong > 0) {
    print(
      'Who lies alike is not seen by counting; --recompute 1 has the requester run every answer again itself.',
    )
  }
  if (rate !== undefined)
    print(`Character error rate against the page's true text: ${(rate * 100).toFixed(2)} %.`)
  print(`The mesh took ${seconds(outcome.meshMs)}, the whole demo ${seconds(outcome.elapsedMs)}.`)
  print()
  print(`Receipts: ${outcome.receipts}`)
  print('Check one: npm run verimesh -- receipt verify FILE')
  const proof = outcome.disputes.find((dispute) => dispute.proof !== undefined)?.proof
  if (proof !== undefined) {
    print('Verify a proof, with the model: npm run verimesh -- models add ocr, then')
    print(`  npm run verimesh -- fraud verify ${proof}`)
  }
}

function printProviders({ providers, jobs }: DemoOutcome, print: (line?: string) => void): void {
  print('provider      results  disagreed  in truth')
  for (const { peerId, role, results, disagreed } of providers) {
    const cells = [short(peerId).padEnd(12), String(results).padStart(7), String(disagreed).padStart(9)]
    print(`${cells.join('  ')}  ${TRUTHS[role]}`)
  }
  print(
    `(The requester was not told who lies; ${jobs.length} jobs, each asked of ${DEMO_REPLICAS} providers drawn for it, and of more where they disagreed.)`,
  )
  print()
}

/** How many of the accepted answers carry each label. */
function labelCounts({ jobs }: DemoOutcome): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { verdict } of jobs) {
    if (verdict !== undefined) counts[verdict.label] = (counts[verdict.label] ?? 0) + 1
  }
  return counts
}

function labelOf(outcome: DemoOutcome, { jobId }: DisputeReport): string {
  return labelById(outcome, jobId)
}

function labelById({ jobs }: DemoOutcome, jobId: string): string {
  return jobs.find((job) => job.jobId === jobId)?.label ?? jobId
}

function disputeJson(report: DisputeReport): Record<string, unknown> {
  const { jobId, step, steps, operator, loser, kind, refereeMs, bytes, proof } = report
  return { job: jobId, step, steps, operator, loser, kind, refereeMs, bytes, proof: proof ?? null }
}

const TRUTHS: Readonly<Record<Role, string>> = {
  honest: 'honest',
  liar: 'lies',
  colluder: 'lies with others',
}

/** The end of a peer id, which is what tells two apart. */
function short(peerId: string): string {
  return `...${peerId.slice(-8)}`
}

/** A caret under each character that differs; lines of different lengths differ from there on. */
function differences(told: string, accepted: string): string {
  return [...accepted]
    .map((character, at) => (told[at] === character ? ' ' : '^'))
    .join('')
    .trimEnd()
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

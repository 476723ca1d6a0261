/** The tables of the exact lane's bench. */
import type { Spread } from '../statistics.ts'
import { digits, render } from '../table.ts'
import { EXACT_ONLY, type HonestRow } from './honest.ts'
import type { LiarsResult } from './liars.ts'
import type { ProofsRow } from './proofs.ts'
import type { SpeedRow } from './speed.ts'
import type { Percentiles, StepsRow } from './steps.ts'

export function renderSpeed(rows: readonly SpeedRow[], markdown: boolean): string {
  return render(
    ['model', 'leaves', 'native ms', 'exact ms', 'traced ms', 'exact : native', 'traced : native'],
    rows.map(({ model, leaves, native, plain, traced, plainRatio, tracedRatio }) => [
      model,
      String(leaves),
      digits(native.median),
      digits(plain.median),
      digits(traced.median),
      range(plainRatio),
      range(tracedRatio),
    ]),
    markdown,
  )
}

export function renderSteps(rows: readonly StepsRow[], markdown: boolean): string {
  return render(
    [
      'model',
      'steps',
      'first ms p50',
      'max',
      'slowest',
      'again ms p50',
      'max',
      'leaves kB',
      'operands kB p50',
      'max',
      'failed',
    ],
    rows.map((row) => [
      row.model,
      String(row.steps),
      ...cells(row.firstMs),
      row.slowest,
      ...cells(row.againMs),
      digits(row.leafBytes / 1e3),
      ...cells(row.operandBytes, 1e3),
      String(row.failures),
    ]),
    markdown,
  )
}

export function renderLiars(result: LiarsResult): string {
  const { runs, pinned, falseAccusations, ended, refereeMs, bytes, missed } = result
  const lines = [
    `${pinned} of ${runs} liars pinned to their very step, ${falseAccusations} false accusations ` +
      `(${ended} further lies ended the liar's own run)`,
    `referee ms: p50 ${digits(refereeMs.p50)}, max ${digits(refereeMs.max)}; ` +
      `kB moved a dispute: p50 ${digits(bytes.p50 / 1e3)}, max ${digits(bytes.max / 1e3)}`,
    ...missed.map((run) => `MISSED ${JSON.stringify(run)}`),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

export function renderHonest(rows: readonly HonestRow[], markdown: boolean): string {
  const counted = rows.filter(({ model }) => model !== EXACT_ONLY)
  const sum = (of: (row: HonestRow) => number): number => counted.reduce((all, row) => all + of(row), 0)
  const total: HonestRow = {
    model: `all but ${EXACT_ONLY}`,
    comparisons: sum(({ comparisons }) => comparisons),
    comparisonsOptimised: sum((row) => row.comparisonsOptimised),
    differing: sum(({ differing }) => differing),
    differingOptimised: sum((row) => row.differingOptimised),
    judged: sum(({ judged }) => judged),
    disputes: sum(({ disputes }) => disputes),
    condemned: sum(({ condemned }) => condemned),
    unequalTraces: sum(({ unequalTraces }) => unequalTraces),
  }
  return render(
    [
      'model',
      'comparisons',
      'differ',
      'by threads and batch only',
      'differ',
      'needless disputes',
      'rate',
      'judged',
      'unequal traces',
      'condemned',
    ],
    [...rows, total].map((row) => [
      row.model,
      String(row.comparisons),
      String(row.differing),
      String(row.comparisonsOptimised),
      String(row.differingOptimised),
      String(row.disputes),
      `${((100 * row.disputes) / row.comparisons).toFixed(2)} %`,
      String(row.judged),
      String(row.unequalTraces),
      String(row.condemned),
    ]),
    markdown,
  )
}

export function renderProofs(rows: readonly ProofsRow[], markdown: boolean): string {
  return render(
    [
      'model',
      'proofs',
      'kB p50',
      'max',
      'warm ms p50',
      'max',
      'cold ms p50',
      'max',
      'of it verifying p50',
      'max',
    ],
    rows.map((row) => [
      row.model,
      String(row.proofs),
      ...cells(row.bytes, 1e3),
      ...cells(row.warmMs),
      ...cells(row.coldMs),
      ...cells(row.coldVerifyingMs),
    ]),
    markdown,
  )
}

function cells({ p50, max }: Percentiles, unit = 1): [string, string] {
  return [digits(p50 / unit), digits(max / unit)]
}

/** Median, and in brackets the least and the greatest round. */
function range({ min, median, max }: Spread): string {
  return `${digits(median)} (${digits(min)}-${digits(max)})`
}

import {
  type CanaryReport,
  type DisputeKind,
  type DisputeReport,
  type JobProgress,
  printable,
  type Recheck,
} from '../node/index.ts'
import type { Verdict } from '../verification/index.ts'
import type { Terminal } from './terminal.ts'

/** The verdict in a line, with what it rests on; `wrong` as in `JobResult`. */
export function verdictLine(verdict: Verdict, elapsedMs: number, wrong?: number): string {
  const time = `${(elapsedMs / 1000).toFixed(2)} s`
  const { label, agreed, asked, groups, disagreed } = verdict
  const dissent = disagreed.length === 0 ? '' : `; ${disagreed.length} answered something else`
  switch (label) {
    case 'signed':
      return wrong === undefined
        ? `signed by one provider in ${time}: its word alone, nobody checked it. More: --replicas 3`
        : `signed by one provider in ${time}: by what is known of it, ${doubtOf(wrong)}${dissent}`
    case 'replicated': {
      const doubt = wrong === undefined ? '' : `; by what is known of them, ${doubtOf(wrong)}`
      return `replicated ${agreed.length}/${asked} in ${time}: providers in ${groups} address group(s) agree${doubt}${dissent}`
    }
    case 'refereed':
      return `refereed in ${time}: a dispute was decided by running the disputed step again, and an independent run matches the answer${dissent}`
    case 'recomputed':
      return `recomputed in ${time}: this machine ran it again itself${dissent}`
    default:
      return label satisfies never
  }
}

/** How sure an answer is, in words. */
export function doubtOf(wrong: number): string {
  if (wrong === 0) return 'not wrong, since this machine ran it too'
  return `wrong with a probability of at most ${Number(wrong.toPrecision(2))}`
}

/** One side of a dispute that lost it, in a line. */
export function disputeLine(dispute: DisputeReport): string {
  const { step, steps, operator, loser, kind, refereeMs, bytes, proof } = dispute
  const where = step === 0 ? '' : ` at step ${step} of ${steps}${operator === '' ? '' : ` (${operator})`}`
  const moved = bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
  const kept = proof === undefined ? 'no proof that others need believe' : `proof: ${proof}`
  return `...${loser.slice(-8)} lost${where}: ${KINDS[kind]}; referee ${refereeMs.toFixed(1)} ms, ${moved} moved; ${kept}`
}

/** What came of a canary: in a line, and one for each who lost a dispute about it. */
export function canaryLines({ verdict, disputes }: Pick<CanaryReport, 'verdict' | 'disputes'>): string[] {
  const { label, agreed, asked } = verdict
  const what = `${label}, ${agreed.length} of ${asked} agreed`
  return [`canary: ${what}`, ...disputes.map((dispute) => `canary: ${disputeLine(dispute)}`)]
}

/** An answer that rested on a key which was exposed later, in a line. */
export function recheckLine({ provider, outcome, reason, bundle, jobId }: Recheck): string {
  const what = bundle ?? `job ${jobId.slice(0, 12)}`
  return `an earlier answer rested on ...${provider.slice(-8)}, which was proved to have lied elsewhere. Checked again: ${outcome} (${printable(reason)}); ${what}`
}

const KINDS: Readonly<Record<DisputeKind, string>> = {
  wiring: 'it fed the step something else than its own trace says',
  execution: 'the step gives something else than it signed',
  shape: 'its trace is not one of this model',
  equivocation: 'it signed two different answers',
  'contradicted-exact': 'its answer is not that of its own exact run',
  'contradicted-replay':
    'its answer is not that of its own exact run, nor what hardware like the one it declares gives here',
  withheld: 'it did not show how it came to its answer',
}

/** Shows how far a job is, on a terminal. */
export function showProgress(terminal: Terminal): (progress: JobProgress) => void {
  return ({ stage, found, asked, answered }) => {
    if (stage === 'closed') return terminal.progress('')
    const what =
      stage === 'finding'
        ? `looking for providers, found ${found}`
        : stage === 'disputing'
          ? `${answered} answers disagree: settling it step by step`
          : `asked ${asked} providers, ${answered} answered`
    terminal.progress(`${what} ...`)
  }
}

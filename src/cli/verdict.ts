import type { JobProgress } from '../node/index.ts'
import type { Verdict } from '../verification/index.ts'
import type { Terminal } from './terminal.ts'

/** The verdict in a line, with what it rests on. */
export function verdictLine(verdict: Verdict, elapsedMs: number): string {
  const time = `${(elapsedMs / 1000).toFixed(2)} s`
  if (verdict.label === 'signed') {
    return `signed by one provider in ${time}: its word alone, nobody checked it. More: --replicas 3`
  }
  const { agreed, asked, groups, disagreed } = verdict
  const dissent = disagreed.length === 0 ? '' : `; ${disagreed.length} answered something else`
  return `replicated ${agreed.length}/${asked} in ${time}: providers in ${groups} address group(s) agree${dissent}`
}

/** Shows how far a job is, on a terminal. */
export function showProgress(terminal: Terminal): (progress: JobProgress) => void {
  return ({ stage, found, asked, answered }) => {
    if (stage === 'closed') return terminal.progress('')
    const what =
      stage === 'finding'
        ? `looking for providers, found ${found}`
        : `asked ${asked} providers, ${answered} answered`
    terminal.progress(`${what} ...`)
  }
}

/** What is counted while a simulation runs. Only counts: it decides nothing. */
import type { VerdictLabel } from '../verification/index.ts'

export interface Metrics {
  /** `wrongBy`: whose wrong answer it is; empty where it is right. */
  served(jobId: string, latencyMs: number, wrongBy: readonly string[], label: VerdictLabel): void
  /** A provider gave an answer that is wrong, served or not. */
  lied(): void
  failed(code: string): void
  /** A wrong answer was found out, and its owner told. */
  corrected(jobId: string): void
  rechecked(): void
  disputed(): void
  /** A provider's traced run, and one of the requester's own, in native executions. */
  traced(executions: number): void
  ownRun(executions: number): void
  /** Somebody has met this provider; somebody found this provider out, rightly or not. */
  met(key: string): void
  found(key: string): void
  message(from: number, to: number): void
  /** Gossip of a provider about its load, which reaches everybody who listens to its model. */
  announced(): void
  readonly totals: Totals
}

export interface Totals {
  served: number
  failed: number
  wrong: number
  lies: number
  /** Wrong answers that were served, by each key that gave one. */
  readonly wrongBy: Map<string, number>
  readonly standing: Set<string>
  rechecks: number
  disputes: number
  /** Traces and own runs, in native executions. */
  extraExecutions: number
  readonly met: Set<string>
  readonly found: Set<string>
  readonly failures: Map<string, number>
  readonly labels: Map<string, number>
  latenciesMs: Float64Array
  latencies: number
  announcements: number
  messages: Float64Array
}

export function createMetrics(jobs: number, nodes: number): Metrics {
  const totals: Totals = {
    served: 0,
    failed: 0,
    wrong: 0,
    lies: 0,
    wrongBy: new Map(),
    standing: new Set(),
    rechecks: 0,
    disputes: 0,
    extraExecutions: 0,
    met: new Set(),
    found: new Set(),
    failures: new Map(),
    labels: new Map(),
    latenciesMs: new Float64Array(jobs),
    latencies: 0,
    announcements: 0,
    messages: new Float64Array(nodes),
  }
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1)
  const at = (node: number) => {
    if (node < totals.messages.length) return
    const wider = new Float64Array(Math.max(node + 1, totals.messages.length * 2))
    wider.set(totals.messages)
    totals.messages = wider
  }
  const spend = (executions: number): void => {
    totals.extraExecutions += executions
  }
  return {
    totals,
    lied: () => void totals.lies++,
    served(jobId, latencyMs, wrongBy, label) {
      totals.served += 1
      if (totals.latencies < totals.latenciesMs.length) totals.latenciesMs[totals.latencies++] = latencyMs
      count(totals.labels, label)
      if (wrongBy.length === 0) return
      for (const key of wrongBy) count(totals.wrongBy, key)
      totals.wrong += 1
      totals.standing.add(jobId)
    },
    failed(code) {
      totals.failed += 1
      count(totals.failures, code)
    },
    corrected: (jobId) => void totals.standing.delete(jobId),
    rechecked: () => void totals.rechecks++,
    disputed: () => void totals.disputes++,
    traced: spend,
    ownRun: spend,
    met: (key) => void totals.met.add(key),
    found: (key) => void totals.found.add(key),
    announced: () => void totals.announcements++,
    message(from, to) {
      at(from)
      at(to)
      totals.messages[from]! += 1
      totals.messages[to]! += 1
    },
  }
}

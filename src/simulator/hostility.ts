/**
 * Attacks by those who ask: floods of jobs, demands for traces that are to frame an honest provider, accusations without a
 * proof that holds. What they meet is real: the provider's admission, and the budget that a requester has for demands.
 */
import { createDisputeBudget, type DisputeBudget } from '../../protocols/dispute/index.ts'
import { createFlooder, createFramingRequester, createSlanderer } from '../adversary/index.ts'
import type { Random } from '../routing/index.ts'
import type { Clock } from './clock.ts'
import { exponential } from './distribution.ts'
import type { Metrics } from './metrics.ts'
import type { SimProvider } from './provider.ts'
import type { JobModel, SimRequester } from './requester.ts'

/** How much of each, a second. */
export interface Hostility {
  /** False accusations that are told by gossip. */
  readonly accusationsPerSecond: number
  /** Demands for traces that are to frame an honest provider. */
  readonly framingPerSecond: number
  /** Jobs that are sent to providers and never used, from `floodKeys` keys. */
  readonly floodPerSecond: number
  readonly floodKeys: number
}

export interface Surrounded {
  readonly hostility: Hostility
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  readonly job: JobModel
  readonly requesters: readonly SimRequester[]
  readonly providers: readonly SimProvider[]
  readonly isOver: () => boolean
}

/** Begins to attack, and goes on until `isOver`. */
export function beginHostility(scene: Surrounded): void {
  const { hostility, clock, random, requesters, providers, metrics, job, isOver } = scene
  const honest = providers.filter(({ conduct }) => conduct.honest)
  const victims = honest.map(({ key }) => key)
  if (victims.length === 0) return
  const byKey = new Map(honest.map((provider) => [provider.key, provider]))

  function repeat(perSecond: number, act: () => void): void {
    if (perSecond <= 0) return
    const next = (): void => {
      if (isOver()) return
      act()
      clock.after(exponential(perSecond / 1000, random), next)
    }
    clock.after(exponential(perSecond / 1000, random), next)
  }

  const { accusationsPerSecond, framingPerSecond, floodPerSecond, floodKeys } = hostility
  const slanderer = createSlanderer({ victims, accusationsPerSecond })
  repeat(accusationsPerSecond, () => {
    const { accused } = slanderer.accuse(random)
    for (const requester of requesters) if (requester.knows(accused)) requester.accuse(accused)
  })

  const budgets = new Map<string, DisputeBudget>()
  const framer = createFramingRequester({
    victims,
    accomplice: 'accomplice',
    demandsPerSecond: framingPerSecond,
  })
  repeat(framingPerSecond, () => {
    const { victim, demand } = framer.next(random)
    const provider = byKey.get(victim)!
    metrics.message(provider.node, provider.node)
    let budget = budgets.get(victim)
    if (budget === undefined) {
      budget = createDisputeBudget()
      budgets.set(victim, budget)
    }
    const share = budget.admit('framer', clock.nowMs)
    if (!('release' in share)) return
    if (demand.outcome === 'refused') share.release()
    else {
      provider.wasted += job.tracedCost
      clock.after(job.tracedCost * job.serviceMs, () => share.release())
    }
  })

  const flooder = createFlooder({
    request: 'jobs',
    requestsPerSecond: floodPerSecond,
    keys: floodKeys,
    victims,
  })
  let sent = 0
  repeat(floodPerSecond, () => {
    const { key, victim } = flooder.next(random)
    const provider = byKey.get(victim)!
    const model = provider.models[0]!
    metrics.message(provider.node, provider.node)
    if (!provider.alive) return
    const id = `flood-${sent++}`
    provider.request({
      id,
      job: { jobId: id, content: sent, requester: `flood-${key}`, model, nowMs: clock.nowMs },
      inputBytes: job.inputBytes,
      deadlineAtMs: clock.nowMs + job.timeoutMs,
      isWaste: true,
      answered: () => {},
      refused: () => {},
      lost: () => {},
    })
  })
}

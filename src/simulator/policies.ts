/** How many are asked: the rule of this project, and those of the literature, as rules of replication for one machine. */
import { REPUTATION_PARAMS, type ReputationParams, type TrackRecord } from '../../peers/reputation/index.ts'
import { REQUESTER_LIMITS, type RequesterLimits } from '../requester/index.ts'
import { createDoubt, type Replication, wrongAmong } from '../routing/index.ts'

export type PolicySpec =
  | {
      readonly name: 'doubt'
      readonly risk: number
      readonly floorRate: number
      /** Whether the requester runs disputed jobs itself and re-checks what rested on those who were found out. */
      readonly referee: boolean
    }
  /** `replicas` at once, and the answer that `quorum` of them give: a node that holds no model asks so. */
  | { readonly name: 'quorum'; readonly replicas: number; readonly quorum: number }
  /** `replicas` that must agree; a dispute decides where they do not. */
  | { readonly name: 'referee'; readonly replicas: number; readonly ownRuns: boolean }
  /** The first answer that `votes` providers give. */
  | { readonly name: 'm-first'; readonly votes: number }
  /** More than half of at least `replicas` answers. */
  | { readonly name: 'majority'; readonly replicas: number }
  /** BOINC's adaptive replication: a host is trusted after `trustedAfter` valid results in a row. */
  | { readonly name: 'boinc'; readonly trustedAfter: number }
  /** Sarmenta's credibility-based voting with spot checks and blacklisting. */
  | {
      readonly name: 'credibility'
      readonly risk: number
      readonly spotCheckRate: number
      readonly saboteurShare: number
    }

export interface Policy {
  readonly name: PolicySpec['name']
  /** Left out, `replicas` are asked and `quorum` is enough. */
  readonly replication: Replication | undefined
  readonly replicas: number
  readonly quorum: number
  readonly referee: boolean
  /** Whether the requester holds the model, and can run a job itself. */
  readonly ownRuns: boolean
  /** Share of executions that are repeated with a known answer. */
  readonly spotCheckRate: number
  /** Whether what rested on somebody who was found out is run again. */
  readonly rechecks: boolean
  readonly limits: RequesterLimits
  readonly reputation: ReputationParams
}

export function createPolicy(spec: PolicySpec, limits: Partial<RequesterLimits> = {}): Policy {
  const own = { ...REQUESTER_LIMITS, ...limits }
  // The literature draws from all, and nobody is left out but who is blacklisted.
  const plain = {
    name: spec.name,
    replicas: 1,
    quorum: 1,
    referee: false,
    ownRuns: false,
    spotCheckRate: 0,
    rechecks: false,
    limits: { ...own, poolSize: Number.POSITIVE_INFINITY, newcomerShare: 0 },
    reputation: PLAIN_REPUTATION,
  }
  switch (spec.name) {
    case 'doubt': {
      const { risk, floorRate, referee } = spec
      return {
        name: spec.name,
        replication: createDoubt({ risk, floorRate }, REPUTATION_PARAMS),
        replicas: 1,
        quorum: 1,
        referee,
        ownRuns: referee,
        spotCheckRate: 0,
        rechecks: referee,
        limits: own,
        reputation: REPUTATION_PARAMS,
      }
    }
    case 'quorum':
      return { ...plain, replication: undefined, replicas: spec.replicas, quorum: spec.quorum }
    case 'referee': {
      const { replicas, ownRuns } = spec
      const quorum = (replicas >> 1) + 1
      return { ...plain, replication: undefined, replicas, quorum, referee: true, ownRuns, rechecks: true }
    }
    case 'm-first':
      return { ...plain, replication: createFirst(spec.votes) }
    case 'majority':
      return { ...plain, replication: createMajority(spec.replicas) }
    case 'boinc':
      return { ...plain, replication: createAdaptive(spec.trustedAfter) }
    case 'credibility': {
      const { risk, spotCheckRate, saboteurShare } = spec
      return { ...plain, replication: createCredibility(risk, saboteurShare), spotCheckRate, rechecks: true }
    }
    default:
      return spec satisfies never
  }
}

/** Whoever disagreed begins anew, and is drawn like everybody else; only who failed a spot check is drawn no more. */
const PLAIN_REPUTATION: ReputationParams = {
  ...REPUTATION_PARAMS,
  shunnedAt: 1,
  suspicion: { ...REPUTATION_PARAMS.suspicion, disagreed: Number.MIN_VALUE },
}

/** Sarmenta (2002), section 4.1: majority voting as an m-first scheme. */
function createFirst(votes: number): Replication {
  return {
    name: 'm-first',
    isEnough: (parties) => parties.length >= votes,
    prevails: ([leading]) => (leading?.length ?? 0) >= votes,
  }
}

function createMajority(replicas: number): Replication {
  return {
    name: 'majority',
    isEnough: (parties) => parties.length >= replicas,
    prevails: (groups) => {
      const all = groups.reduce((sum, group) => sum + group.length, 0)
      return all >= replicas && (groups[0]?.length ?? 0) * 2 > all
    },
  }
}

/**
 * D. Anderson, "BOINC: a platform for volunteer computing" (2019), section on adaptive replication: a host with more than
 * ten valid results in a row runs jobs alone, but for one in as many as it has; else two must agree.
 */
function createAdaptive(trustedAfter: number): Replication {
  return {
    name: 'boinc',
    isEnough: ([first, second], draw) =>
      first !== undefined &&
      (second !== undefined || (first.streak > trustedAfter && draw >= 1 / first.streak)),
    prevails: ([leading]) => (leading?.length ?? 0) >= 2,
  }
}

/** Sarmenta (2002), section 4.3: 1 - f / ((1 - f) k e) after k checks passed, groups reckoned as independent. */
function createCredibility(risk: number, saboteurShare: number): Replication {
  const lies = ({ streak }: TrackRecord) =>
    streak === 0
      ? saboteurShare
      : Math.min(saboteurShare, saboteurShare / ((1 - saboteurShare) * streak * Math.E))
  const wrong = (records: readonly TrackRecord[]) =>
    records.reduce((product, record) => product * lies(record), 1)
  return {
    name: 'credibility',
    isEnough: (parties) => parties.length > 0 && wrongAmong([parties], wrong) <= risk,
    prevails: (groups) => wrongAmong(groups, wrong) <= risk,
    wrong,
  }
}

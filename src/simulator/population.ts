/** Who provides: honest ones, and the attackers that a scenario names. */
import {
  type Conduct,
  commonLies,
  createAdaptiveCoalition,
  createBoaster,
  createColludingLiar,
  createCopier,
  createCrashing,
  createEquivocator,
  createFreeRider,
  createHonest,
  createIndependentLiar,
  createProxy,
  createSilent,
  createSleeper,
  createSlow,
  createSybilSwarm,
  createTargeted,
  createWhitewasher,
  ownLies,
} from '../adversary/index.ts'
import type { Random } from '../routing/index.ts'
import type { Fields } from './fields.ts'

export const ATTACKER_KINDS = [
  'liar',
  'sleeper',
  'whitewasher',
  'adaptive-coalition',
  'copier',
  'proxy',
  'free-rider',
  'equivocator',
  'targeted',
  'sybil',
  'slow',
  'crashing',
  'silent',
  'boaster',
] as const

/** A group of providers that behave alike. */
export interface Attackers {
  readonly kind: (typeof ATTACKER_KINDS)[number]
  /** Fraction of all providers, from 0 to 1. */
  readonly share: number
  /** Share of jobs on which they do what they do, from 0 to 1. */
  readonly rate: number
  /** Fraction of them that are one coalition and tell one lie, from 0 to 1. */
  readonly collusion: number
  /** Fraction of them that trace honestly when they are disputed, whatever they answered; the others forge. */
  readonly honestTraces: number
  /** Jobs that each does honestly before. */
  readonly honestJobs: number
  /** Times the usual: the service time of the slow, what a boaster announces. */
  readonly factor: number
  /** Whether all keys of a swarm come from one address group, or each from one of its own. */
  readonly oneGroup: boolean
}

export function readAttackers(fields: Fields): Attackers {
  const share = { min: 0, max: 1 }
  return {
    kind: fields.choice('kind', ATTACKER_KINDS),
    share: fields.number('share', undefined, share),
    rate: fields.number('rate', 1, share),
    collusion: fields.number('collusion', 0, share),
    honestTraces: fields.number('honestTraces', 0.5, share),
    honestJobs: fields.number('honestJobs', 50, { min: 0, whole: true }),
    factor: fields.number('factor', 10, { min: 0.001, max: 1000 }),
    oneGroup: fields.flag('oneGroup', false),
  }
}

/** A place in the population: whoever sits there, and makes a fresh conduct for each key that it uses. */
export interface Member {
  readonly createConduct: () => Conduct
  /** Address group; left out, its own. */
  readonly group: string | undefined
}

/** As many members as `providers`, shuffled by `random`; what is left over by the attackers is honest. */
export function createPopulation(
  providers: number,
  attackers: readonly Attackers[],
  random: Random,
): readonly Member[] {
  const order = shuffle([...new Array(providers).keys()], random)
  const members: Member[] = order.map(() => ({ createConduct: createHonest, group: undefined }))
  let next = 0
  for (const [index, group] of attackers.entries()) {
    const count = Math.min(Math.round(group.share * providers), providers - next)
    const seed = Math.floor(random.next() * 2 ** 31)
    const make = factoryOf(group, `g${index}`, seed, count)
    for (let member = 0; member < count; member++) members[order[next++]!] = make(member)
  }
  return members
}

function factoryOf(group: Attackers, name: string, seed: number, count: number): (member: number) => Member {
  const { kind, rate, collusion, honestTraces, honestJobs, factor, oneGroup } = group
  const colluders = Math.round(collusion * count)
  const liesOf = (member: number) =>
    member < colluders ? commonLies({ name, seed, rate }) : ownLies({ name: `${name}.${member}`, rate })
  // Every other one, from those that collude and those that do not alike.
  const traceOf = (member: number) =>
    Math.floor((member + 1) * honestTraces) > Math.floor(member * honestTraces)
      ? ('honest' as const)
      : ('lying' as const)
  const alone =
    (create: (member: number) => Conduct) =>
    (member: number): Member => ({
      createConduct: () => create(member),
      group: undefined,
    })
  switch (kind) {
    case 'liar':
      return alone((member) =>
        member < colluders
          ? createColludingLiar({ name, seed, rate, trace: traceOf(member) })
          : createIndependentLiar({ name: `${name}.${member}`, rate, trace: traceOf(member) }),
      )
    case 'sleeper':
      return alone((member) => createSleeper({ honestJobs, lies: liesOf(member), trace: traceOf(member) }))
    case 'whitewasher':
      return alone((member) =>
        createWhitewasher({ honestJobs, lies: liesOf(member), trace: traceOf(member) }),
      )
    case 'adaptive-coalition': {
      const coalition = createAdaptiveCoalition({ name, seed, rate })
      return alone((member) => coalition.join(traceOf(member)))
    }
    case 'sybil': {
      const create = () => createColludingLiar({ name, seed, rate, trace: 'lying' })
      const swarm = createSybilSwarm({
        keys: count,
        ...(oneGroup ? { group: name } : {}),
        createConduct: create,
      })
      return () => ({ createConduct: () => swarm.createConduct(), group: swarm.group })
    }
    case 'copier':
      return alone((member) => createCopier({ name: `${name}.${member}`, trace: 'honest' }))
    case 'proxy':
      return alone(() => createProxy('honest'))
    case 'free-rider':
      return alone((member) =>
        createFreeRider({
          name: `${name}.${member}`,
          seed: seed + member,
          rate,
          garbage: 'own',
          trace: 'withheld',
        }),
      )
    case 'equivocator':
      return alone((member) => createEquivocator({ name: `${name}.${member}`, rate }))
    case 'targeted':
      return alone((member) =>
        createTargeted({ requester: 'r0', lies: liesOf(member), trace: traceOf(member) }),
      )
    case 'slow':
      return alone(() => createSlow({ factor, rate }))
    case 'crashing':
      return alone(() => createCrashing(rate))
    case 'silent':
      return alone(() => createSilent(rate))
    case 'boaster':
      return alone(() => createBoaster(1 / factor, createSlow({ factor, rate: 1 })))
    default:
      return kind satisfies never
  }
}

function shuffle(values: readonly number[], random: Random): number[] {
  const shuffled = [...values]
  for (let index = shuffled.length - 1; index > 0; index--) {
    const other = Math.floor(random.next() * (index + 1))
    const kept = shuffled[index]!
    shuffled[index] = shuffled[other]!
    shuffled[other] = kept
  }
  return shuffled
}

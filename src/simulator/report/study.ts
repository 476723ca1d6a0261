/** What was run, put in order for plots: which rows are the same thing measured again, and which are told apart. */
import type { ResultRow, Results, RunSeries } from '../results.ts'
import { figure } from './figures.ts'

/** The bound on wrong answers that any policy can reach at so many executions a job, at one point of the scenario. */
export interface Bound {
  readonly f: number
  readonly s: number
  readonly c: number
  readonly points: readonly { readonly executionsPerJob: number; readonly error: number }[]
}

/** A stretch of a run in which something was done to the network, such as a partition. */
export interface Span {
  readonly fromMs: number
  readonly untilMs: number
  readonly label: string
}

/** All that a report shows. */
export interface ReportInput {
  /** The scenario's name. */
  readonly title: string
  /** What the scenario should show, in a sentence. */
  readonly purpose: string
  /** What a person types to get the same bytes again. */
  readonly command: string
  readonly results: Results
  readonly series: readonly RunSeries[]
  readonly bounds: readonly Bound[]
  /** The largest share of all executions that a provider may get, from 0 to 1, where the scenario has one. */
  readonly shareMax?: number
  /** Shaded in the plots over time. */
  readonly spans?: readonly Span[]
}

/** What tells one run from another. */
export type Run = Pick<ResultRow, 'policy' | 'f' | 's' | 'c' | 'parameters'>

/** A point of the scenario. */
export type Point = Pick<ResultRow, 'f' | 's' | 'c'>

/** The parameter under which the same thing is measured again: its values are ranges in the plots, not lines. */
export const REPETITION = 'seed'

/** More than this many cannot be told apart by form, dash and colour in black and white. */
export const GROUPS_MAX = 8

/** What is drawn in one form and colour: a policy, or a policy with one setting of its parameters. */
export interface Group {
  readonly index: number
  readonly policy: string
  readonly label: string
  /** A run of it, by which its parameters are known. */
  readonly example: Run
}

/** Results with their order. */
export interface Study {
  readonly input: ReportInput
  readonly rows: readonly ResultRow[]
  readonly series: readonly RunSeries[]
  readonly groups: readonly Group[]
  groupOf(run: Run): Group
  /** Equal for runs of one policy with one setting of its parameters. */
  variantOf(run: Run): string
  /** The policy, and the parameters by which its runs differ, in words. */
  labelOf(run: Run): string
  /** Whether a group holds several settings of a policy. */
  readonly collapsed: boolean
  readonly points: readonly Point[]
  readonly f: readonly number[]
  readonly s: readonly number[]
  readonly c: readonly number[]
  /** How often the same thing was measured, at most. */
  readonly repetitions: number
  /** The policy about which the captions speak: `doubt` where it is among them. */
  readonly lead: string
  /** Of a run, at most. */
  readonly jobs: number
}

/** Pure: the same input gives the same study, whatever the order of fields. */
export function createStudy(input: ReportInput): Study {
  const { rows } = input.results
  const runs: readonly Run[] = [...rows, ...input.series]
  const policies = policiesOf(runs)
  const varying = new Map(
    policies.map((policy) => [policy, varyingParameters(runs.filter((run) => run.policy === policy))]),
  )
  const namesOf = (run: Run): readonly string[] => varying.get(run.policy) ?? []
  const variantOf = (run: Run): string =>
    JSON.stringify([run.policy, ...namesOf(run).map((name) => run.parameters[name] ?? null)])
  const labelOf = (run: Run): string => [run.policy, ...describeSetting(run, namesOf(run))].join(', ')
  const variants = policies.flatMap((policy) => {
    const ordered = runs.filter((run) => run.policy === policy).sort(bySetting(varying.get(policy) ?? []))
    return gather(ordered, variantOf).map(([example]) => example!)
  })
  const collapsed = variants.length > GROUPS_MAX
  const keyOf = collapsed ? (run: Run): string => run.policy : variantOf
  const groups = gather(variants, keyOf).map(([first], index): Group => {
    const example = first!
    return { index, policy: example.policy, label: collapsed ? example.policy : labelOf(example), example }
  })
  const byKey = new Map(groups.map((group) => [keyOf(group.example), group]))
  const repeated = gather(rows, (row) => `${variantOf(row)} ${pointKey(row)}`)
  return {
    input,
    rows,
    series: input.series,
    groups,
    groupOf: (run) => byKey.get(keyOf(run))!,
    variantOf,
    labelOf,
    collapsed,
    points: pointsOf(runs),
    f: distinct(runs.map(({ f }) => f)),
    s: distinct(runs.map(({ s }) => s)),
    c: distinct(runs.map(({ c }) => c)),
    repetitions: repeated.reduce((times, same) => Math.max(times, same.length), 0),
    lead: policies[0] ?? '',
    jobs: rows.reduce((jobs, row) => Math.max(jobs, row.jobs), 0),
  }
}

/** Values that belong together, each list in the order of `values`, the lists in the order of their first. */
export function gather<Value>(
  values: readonly Value[],
  key: (value: Value) => string,
): readonly (readonly Value[])[] {
  const lists = new Map<string, Value[]>()
  for (const value of values) {
    const name = key(value)
    const list = lists.get(name)
    if (list === undefined) lists.set(name, [value])
    else list.push(value)
  }
  return [...lists.values()]
}

/** Equal for equal points. */
export function pointKey({ f, s, c }: Point): string {
  return `${f}/${s}/${c}`
}

/** `f = 0.35, s = 1, c = 0`, without the ones that are the same in the whole study. */
export function describePoint(study: Study, point: Point): string {
  const parts = (['f', 's', 'c'] as const).filter((name) => study[name].length > 1)
  return parts.map((name) => `${name} = ${figure(point[name])}`).join(', ')
}

/** How measurements of one thing differ. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
  readonly count: number
}

/** Median and ends of what was measured; undefined where nothing was. */
export function spread(values: readonly number[]): Spread | undefined {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const middle = Math.floor(sorted.length / 2)
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, low: sorted[0]!, high: sorted.at(-1)!, count: sorted.length }
}

/** Different values, in ascending order. */
export function distinct(values: readonly number[]): readonly number[] {
  return [...new Set(values)].sort((a, b) => a - b)
}

/** At most `max` of `values`, evenly taken, the first and the last among them. */
export function evenly<Value>(values: readonly Value[], max: number): readonly Value[] {
  if (values.length <= max) return values
  if (max < 2) return values.slice(0, max)
  return Array.from(
    { length: max },
    (_, index) => values[Math.round((index * (values.length - 1)) / (max - 1))]!,
  )
}

/**
 * Names of the parameters that have several values among `runs`, of one policy, in alphabetical order. Not the repetition,
 * and not paths into the list of policies such as `policies.0.floorRate`: the policy whose they are has them under their
 * own name, and no other is touched by them.
 */
export function varyingParameters(runs: readonly Run[]): readonly string[] {
  const names = [...new Set(runs.flatMap(({ parameters }) => Object.keys(parameters)))].sort()
  return names.filter(
    (name) =>
      name !== REPETITION &&
      !/^policies\.\d+\./.test(name) &&
      new Set(runs.map(({ parameters }) => parameters[name])).size > 1,
  )
}

/** Ascending: numbers before words, what is missing first. */
export function byParameter(a: string | number | undefined, b: string | number | undefined): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [String(a ?? ''), String(b ?? '')]
  if (typeof a !== typeof b) return rank(a) - rank(b)
  return left < right ? -1 : left > right ? 1 : 0
}

function rank(value: string | number | undefined): number {
  return value === undefined ? 0 : typeof value === 'number' ? 1 : 2
}

/** Ours first: it is what the others are compared with. */
function policiesOf(runs: readonly Run[]): readonly string[] {
  const policies = [...new Set(runs.map(({ policy }) => policy))]
  return [
    ...policies.filter((policy) => policy === 'doubt'),
    ...policies.filter((policy) => policy !== 'doubt'),
  ]
}

function bySetting(names: readonly string[]): (a: Run, b: Run) => number {
  return (a, b) => {
    for (const name of names) {
      const order = byParameter(a.parameters[name], b.parameters[name])
      if (order !== 0) return order
    }
    return 0
  }
}

function describeSetting(run: Run, names: readonly string[]): readonly string[] {
  return names
    .filter((name) => run.parameters[name] !== undefined)
    .map((name) => `${name} ${run.parameters[name]}`)
}

function pointsOf(runs: readonly Run[]): readonly Point[] {
  const points = gather(runs, pointKey).map(([first]) => first!)
  return points.map(({ f, s, c }) => ({ f, s, c })).sort((a, b) => a.f - b.f || a.s - b.s || a.c - b.c)
}

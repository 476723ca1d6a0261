import type { Random } from './random.ts'

/** Somebody who may be drawn. */
export interface Drawable {
  /** Keys that are probably one owner's. */
  readonly group: string
}

/**
 * All of `values` in an order drawn at random, in which groups take turns: no group has its second place before every
 * group has its first, nor its third before every group that has a second. The order of groups, and that within each, is
 * uniform. So however many keys one owner has, its chance to be among the first k is that of any other group.
 */
export function drawAcrossGroups<Value extends Drawable>(values: readonly Value[], random: Random): Value[] {
  const groups = new Map<string, Value[]>()
  for (const value of values) {
    const members = groups.get(value.group)
    if (members === undefined) groups.set(value.group, [value])
    else members.push(value)
  }
  const turns = shuffled([...groups.values()], random).map((members) => shuffled(members, random))
  const longest = turns.reduce((max, members) => Math.max(max, members.length), 0)
  return Array.from({ length: longest }, (_, round) =>
    turns.flatMap((members) => members[round] ?? []),
  ).flat()
}

/** Fisher and Yates. */
function shuffled<Value>(values: readonly Value[], random: Random): Value[] {
  const order = [...values]
  for (let at = order.length - 1; at > 0; at--) {
    const other = Math.floor(random.next() * (at + 1))
    ;[order[at], order[other]] = [order[other]!, order[at]!]
  }
  return order
}

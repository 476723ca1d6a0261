import type { Random } from '../routing/index.ts'

/** One of `values`, each as likely as the others. Throws `RangeError` where there are none. */
export function pick<Value>(values: readonly Value[], random: Random): Value {
  if (values.length === 0) throw new RangeError('there is nothing to pick from: give at least one value')
  return values[Math.floor(random.next() * values.length)]!
}

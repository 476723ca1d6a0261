/** Lies, by what they are about. */
import { flagValue, type Value } from '../../models/trace/index.ts'
import type { Lie, Told } from './liar.ts'
import { createSamples } from './models/model.ts'
import { changeElement } from './tampering.ts'

/** One element of that value, off by the least that it can be: by one unit in the last place, or by one. */
export function off(value: Value): Value {
  const other = changed(value)
  if (other === undefined) throw new TypeError('there is nothing to change')
  return other
}

/** As `off`; undefined where there is nothing, or nothing but NaN. */
export function changed(value: Value): Value | undefined {
  return changeElement(value, createSamples(1))
}

/** That output is another; by default off by the least. */
export function lied(index = 0, other: (was: Value) => Value = off): Lie {
  return { outputs: (made) => made.with(index, other(made[index]!)) }
}

/** The step was given something else there, and is run on it. */
export function given(index: number, other: (was: Value, run: Told) => Value): Lie {
  return { operands: (values, run) => values.with(index, other(values[index]!, run)) }
}

/** An If or a Loop decides so, and goes on accordingly. */
export function decides(flag: boolean): Lie {
  return { outputs: (made) => made.with(0, flagValue(flag)) }
}

/** The same elements in another shape. */
export function reshaped(...dims: readonly number[]): (was: Value) => Value {
  return ({ dtype, data }) => ({ dtype, dims, data })
}

/** The value of an earlier step, so that shape and type may well fit. */
export function madeAt(position: string, output = 0): (was: Value, run: Told) => Value {
  return (_was, run) => run.output(position, output)
}

/** What the values that steer an `If` or a `Loop` say, and how a `Loop` puts its scan outputs together. */
import type { LoopStep } from '../plan/index.ts'
import { ELEMENT_BYTES, elementCount } from '../tensor/index.ts'
import { dtypeOf, type Value } from '../trace/index.ts'
import { RuntimeError } from './runtime.ts'

/** A condition: one bool of any rank. Throws RuntimeError `run-failed`, as the engine refuses such a one. */
export function flagOf({ dtype, data }: Value): boolean {
  if (dtype !== 'bool' || data.byteLength !== 1)
    refuse(`a condition is one bool, not ${data.byteLength} of ${dtype}`)
  return data[0] !== 0
}

/** How many iterations at most: none where it is negative. One int64 of any rank. Throws RuntimeError `run-failed`. */
export function tripCountOf({ dtype, data }: Value): number {
  if (dtype !== 'int64' || data.byteLength !== 8) {
    refuse(`a trip count is one int64, not ${data.byteLength} bytes of ${dtype}`)
  }
  return Number(new DataView(data.buffer, data.byteOffset, 8).getBigInt64(0, true))
}

/**
 * A scan output: the elements of all iterations along a new first dimension; of none, what the body declares. Throws
 * RuntimeError `run-failed` where they differ in type or shape, or are more than can be.
 */
export function stackElements(elements: readonly Value[], declared: Omit<Value, 'data'>): Value {
  const { dtype, dims } = elements[0] ?? declared
  for (const element of elements) {
    if (element.dtype !== dtype || element.dims.join() !== dims.join()) {
      refuse(
        `the iterations of a loop give ${dtype}[${dims.join()}] and ${element.dtype}[${element.dims.join()}]`,
      )
    }
  }
  const bytes = elementCount(dims) * ELEMENT_BYTES[dtype]
  const data = new Uint8Array(elements.length * bytes)
  for (const [index, element] of elements.entries()) data.set(element.data, index * bytes)
  return { dtype, dims: [elements.length, ...dims], data }
}

/** Type and shape of one element of a scan output. Throws RuntimeError `run-failed`. */
export function declaredScan(step: LoopStep, index: number): Omit<Value, 'data'> {
  const { dtype, dims } = step.scans[index]!
  const name = dtypeOf(dtype)
  if (name === undefined) throw new RuntimeError('run-failed', `a scan output has elements of type ${dtype}`)
  return { dtype: name, dims }
}

function refuse(why: string): never {
  throw new RuntimeError('run-failed', why)
}

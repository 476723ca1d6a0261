/** One use of one operator: what it is given, what it is told, how many outputs are asked for. */
import type { DType } from '../../../models/tensor/index.ts'
import { elementBytes, type OnnxNode } from '../../fixtures/onnx-builder.ts'
import { createSamples } from '../models/model.ts'

export interface Case {
  /** By position; undefined where left out. */
  readonly operands: readonly (Operand | undefined)[]
  /** Outputs asked for; default 1. */
  readonly outputs?: number
  /** Attributes, and what is not the operator itself. */
  readonly node?: Omit<OnnxNode, 'operator' | 'inputs' | 'outputs' | 'domain'>
}

export interface Operand {
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly data: Uint8Array
}

/**
 * The uses of an operator in a version of its domain with operands of which at least one is `dtype`. None where that version
 * is written otherwise for that type. What the engine does not have it refuses by itself.
 */
export type Cases = (opset: number, dtype: DType) => readonly Case[]

/** A domain's zoo: by operator. */
export type Zoo = Readonly<Record<string, Cases>>

export function isFloat(dtype: DType): dtype is 'float16' | 'float32' | 'float64' {
  return dtype.startsWith('float')
}

interface Range {
  readonly least?: number
  readonly end?: number
  readonly seed?: number
}

/** Numbers without anything special about them, by default small ones that suit every element type. */
export function some(dtype: DType, dims: readonly number[], range: Range = {}): Operand {
  const count = dims.reduce((all, dim) => all * dim, 1)
  const samples = createSamples((range.seed ?? 0) * 31 + count)
  const least = range.least ?? (dtype === 'bool' || dtype.startsWith('uint') ? 0 : -3)
  const end = range.end ?? (dtype === 'bool' ? 2 : 7)
  const middle = (least + end) / 2
  const elements = isFloat(dtype)
    ? samples.floats(count, (end - least) / 2).map((one) => one + middle)
    : samples.integers(count, least, end)
  return exactly(dtype, dims, elements)
}

export function exactly(
  dtype: DType,
  dims: readonly number[],
  elements: readonly (number | bigint)[],
): Operand {
  return { dtype, dims, data: elementBytes(dtype, elements) }
}

/** A list of int64. */
export function longs(...elements: readonly number[]): Operand {
  return exactly('int64', [elements.length], elements)
}

/** Of floats also what is no number, infinite, zero of either sign or tiny; of integers the ends of their range. */
export function awkward(dtype: DType, count: number): Operand {
  const plain = some(dtype, [count])
  if (isFloat(dtype)) {
    const least = dtype === 'float16' ? 2 ** -24 : dtype === 'float32' ? 1e-42 : 5e-324
    const specials = [Number.NaN, Infinity, -Infinity, -0, 0, least, -least, 1, -1]
    const head = elementBytes(dtype, specials.slice(0, count))
    const data = new Uint8Array(plain.data)
    data.set(head)
    return { ...plain, data }
  }
  return plain
}

/** A case with these operands and nothing else to say. */
export function given(...operands: readonly (Operand | undefined)[]): Case {
  return { operands }
}

/** The same with attributes. */
export function told(node: Case['node'] & object, ...operands: readonly (Operand | undefined)[]): Case {
  return { operands, node }
}

import type { DType } from '../tensor/index.ts'
import { ManifestError } from './errors.ts'
import type { Signature, ValueSignature } from './manifest.ts'

/** What is known of a tensor without its bytes. */
export interface TensorForm {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly number[]
}

/**
 * Checks the inputs of a job against a model's signature: every name once, element type, rank, fixed dimensions, and
 * one value from 1 up for each symbol across all inputs. Throws `input-mismatch`; the message shows expected and given.
 */
export function verifyInputs(signature: Signature, tensors: readonly TensorForm[]): void {
  const given = new Map<string, TensorForm>()
  for (const tensor of tensors) {
    if (given.has(tensor.name)) mismatch(`input "${tensor.name}" is given twice`)
    given.set(tensor.name, tensor)
  }
  const symbols = new Map<string, { value: number; where: string }>()
  for (const expected of signature.inputs) {
    const tensor = given.get(expected.name)
    if (tensor === undefined) {
      const names = tensors.map(({ name }) => `"${name}"`).join(', ')
      mismatch(`input "${expected.name}" is missing: expected ${form(expected)}; given ${names || 'none'}`)
    }
    given.delete(expected.name)
    verifyForm(expected, tensor, symbols)
  }
  for (const tensor of given.values()) {
    const names = signature.inputs.map((input) => `"${input.name}" ${form(input)}`).join(', ')
    mismatch(`unknown input "${tensor.name}": expected ${names || 'none'}; given ${form(tensor)}`)
  }
}

function verifyForm(
  expected: ValueSignature,
  tensor: TensorForm,
  symbols: Map<string, { value: number; where: string }>,
): void {
  const differs = (what: string): never =>
    mismatch(`input "${expected.name}" ${what}: expected ${form(expected)}, given ${form(tensor)}`)
  if (tensor.dtype !== expected.dtype) differs('has the wrong element type')
  if (tensor.dims.length !== expected.dims.length) differs('has the wrong rank')
  expected.dims.forEach((dim, axis) => {
    const value = tensor.dims[axis] ?? 0
    if (typeof dim === 'number') {
      if (value !== dim) differs(`has the wrong dimension ${axis}`)
      return
    }
    if (value < 1) differs(`has an empty dimension ${axis}`)
    const bound = symbols.get(dim)
    if (bound === undefined) symbols.set(dim, { value, where: `"${expected.name}" dimension ${axis}` })
    else if (bound.value !== value) {
      differs(`has ${value} for "${dim}" where ${bound.where} has ${bound.value}`)
    }
  })
}

function form({ dtype, dims }: Pick<ValueSignature, 'dtype' | 'dims'>): string {
  return `${dtype}[${dims.join(', ')}]`
}

function mismatch(message: string): never {
  throw new ManifestError('input-mismatch', message)
}

import fc from 'fast-check'
import { DTYPES, ELEMENT_BYTES, elementCount, type Tensor } from '../../../models/tensor/index.ts'

/** Any small tensor, of any element type and rank. */
export function anyTensor(): fc.Arbitrary<Tensor> {
  return fc
    .record({
      name: fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }),
      dtype: fc.constantFrom(...DTYPES),
      dims: fc.array(fc.nat({ max: 3 }), { maxLength: 4 }),
    })
    .chain(({ name, dtype, dims }) => {
      const length = elementCount(dims) * ELEMENT_BYTES[dtype]
      return fc
        .uint8Array({ minLength: length, maxLength: length })
        .map((data): Tensor => ({ name, dtype, dims, data }))
    })
}

export function anyTensors(): fc.Arbitrary<Tensor[]> {
  return fc.uniqueArray(anyTensor(), { maxLength: 4, selector: ({ name }) => name })
}

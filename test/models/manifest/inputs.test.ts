import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ManifestError,
  type Signature,
  type TensorForm,
  verifyInputs,
} from '../../../models/manifest/index.ts'

const SIGNATURE: Signature = {
  inputs: [
    { name: 'ids', dtype: 'int64', dims: ['batch', 'length'] },
    { name: 'mask', dtype: 'float32', dims: ['batch', 'length', 3] },
  ],
  outputs: [{ name: 'y', dtype: 'float32', dims: ['batch'] }],
}
const IDS: TensorForm = { name: 'ids', dtype: 'int64', dims: [2, 5] }
const MASK: TensorForm = { name: 'mask', dtype: 'float32', dims: [2, 5, 3] }

test('takes inputs that fit, in any order', () => {
  verifyInputs(SIGNATURE, [IDS, MASK])
  verifyInputs(SIGNATURE, [MASK, IDS])
  verifyInputs({ inputs: [], outputs: SIGNATURE.outputs }, [])
})

const REFUSED: readonly [string, readonly TensorForm[], RegExp][] = [
  ['a missing input', [IDS], /"mask" is missing: expected float32\[batch, length, 3\]; given "ids"/],
  [
    'an unknown input',
    [IDS, MASK, { ...IDS, name: 'z' }],
    /unknown input "z": expected "ids" int64.*; given int64\[2, 5\]/,
  ],
  ['an input given twice', [IDS, IDS, MASK], /"ids" is given twice/],
  [
    'a wrong element type',
    [{ ...IDS, dtype: 'int32' }, MASK],
    /element type: expected int64\[batch, length\], given int32\[2, 5\]/,
  ],
  [
    'a wrong rank',
    [{ ...IDS, dims: [2] }, MASK],
    /wrong rank: expected int64\[batch, length\], given int64\[2\]/,
  ],
  [
    'a wrong fixed dimension',
    [IDS, { ...MASK, dims: [2, 5, 4] }],
    /dimension 2: expected .*3\], given float32\[2, 5, 4\]/,
  ],
  ['an empty symbolic dimension', [{ ...IDS, dims: [0, 5] }, MASK], /empty dimension 0/],
  [
    'a symbol with two values',
    [IDS, { ...MASK, dims: [2, 6, 3] }],
    /6 for "length" where "ids" dimension 1 has 5/,
  ],
]

for (const [what, tensors, message] of REFUSED) {
  test(`refuses ${what}, showing expected and given`, () => {
    assert.throws(
      () => verifyInputs(SIGNATURE, tensors),
      (error: unknown) =>
        error instanceof ManifestError && error.code === 'input-mismatch' && message.test(error.message),
    )
  })
}

test.run()

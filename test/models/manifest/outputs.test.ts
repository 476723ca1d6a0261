import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ManifestError,
  type ManifestErrorCode,
  type Signature,
  type TensorForm,
  verifyOutputs,
} from '../../../models/manifest/index.ts'

const SIGNATURE: Signature = {
  inputs: [{ name: 'x', dtype: 'float32', dims: ['batch'] }],
  outputs: [
    { name: 'scores', dtype: 'float32', dims: ['batch', 10] },
    { name: 'best', dtype: 'int64', dims: [] },
  ],
}
const SCORES: TensorForm = { name: 'scores', dtype: 'float32', dims: [3, 10] }
const BEST: TensorForm = { name: 'best', dtype: 'int64', dims: [] }

test('takes outputs that fit, in any order and with any size for a symbol', () => {
  verifyOutputs(SIGNATURE, [SCORES, BEST])
  verifyOutputs(SIGNATURE, [BEST, { ...SCORES, dims: [0, 10] }])
})

const REFUSED: readonly [string, readonly TensorForm[], ManifestErrorCode][] = [
  ['no output', [], 'output-mismatch'],
  ['a missing output', [SCORES], 'output-mismatch'],
  ['an output given twice', [SCORES, SCORES], 'output-mismatch'],
  ['one more than there are', [SCORES, BEST, { ...BEST, name: 'z' }], 'output-mismatch'],
  ['another name', [SCORES, { ...BEST, name: 'z' }], 'output-mismatch'],
  ['another element type', [SCORES, { ...BEST, dtype: 'int32' }], 'output-mismatch'],
  ['another rank', [{ ...SCORES, dims: [30] }, BEST], 'output-shape'],
  ['another fixed dimension', [{ ...SCORES, dims: [10, 3] }, BEST], 'output-shape'],
  // A false declaration excuses a shape, never a type.
  [
    'both at once',
    [
      { ...SCORES, dims: [30] },
      { ...BEST, dtype: 'int32' },
    ],
    'output-mismatch',
  ],
]

for (const [what, outputs, code] of REFUSED) {
  test(`refuses ${what}`, () => {
    assert.throws(
      () => verifyOutputs(SIGNATURE, outputs),
      (error: unknown) => error instanceof ManifestError && error.code === code,
    )
  })
}

test.run()

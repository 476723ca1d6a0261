import { BRANCH_MODELS } from './branches.ts'
import { FORM_MODELS } from './forms.ts'
import { LOOP_MODELS } from './loops.ts'
import type { TestModel } from './model.ts'
import { NUMBER_MODELS } from './numbers.ts'
import { REAL_MODELS } from './real.ts'

export type { ModelFiles, TestModel } from './model.ts'

/** The test set of the exact lane. One run of each, with inputs of seed 1, has more than 4,000 leaves. */
export const TEST_SET: readonly TestModel[] = [
  ...REAL_MODELS,
  ...LOOP_MODELS,
  ...BRANCH_MODELS,
  ...NUMBER_MODELS,
  ...FORM_MODELS,
]

export { REAL_MODELS }

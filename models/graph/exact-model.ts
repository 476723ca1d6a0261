import type { OperatorStep, Plan } from '../plan/index.ts'
import type { DType } from '../tensor/index.ts'
import type { Value } from '../trace/index.ts'

/** A model as the exact lane executes it: its plan, and the means to run one step of it. */
export interface ExactModel {
  readonly plan: Plan
  /** The constant of that digest; its bytes may look into the model's. Throws GraphError `unknown-constant`. */
  constant(digest: Uint8Array): Value
  /**
   * A model of its own for one operator of this very plan: its constants are initializers, its other operands inputs without a
   * shape. `dtypes` are the element types of the operands by position (of constants and absent ones ignored).
   */
  operatorModel(step: OperatorStep, dtypes: readonly (DType | undefined)[]): OperatorModel
}

export interface OperatorModel {
  /** ONNX. */
  readonly bytes: Uint8Array
  /** Large constants that `bytes` names as external data instead of holding them, by location. They look into the model's. */
  readonly external: ReadonlyMap<string, Uint8Array>
  /** Operands that are fed, one for each position that is neither constant nor absent. */
  readonly feeds: readonly { readonly position: number; readonly name: string }[]
  /** Outputs that are there, by position. */
  readonly results: readonly { readonly position: number; readonly name: string }[]
}

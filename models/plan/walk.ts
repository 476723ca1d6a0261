/** What a plan says about the leaves of a trace: which position follows which, and what a leaf at a position must hold. */

/** What the plan says of the leaf at one position, whatever the inputs are. */
export interface Expectation {
  /** Digest of the operator. */
  readonly operator: Uint8Array
  /** By position. Of a Loop's end as many as the iterations in its position ask for. */
  readonly operands: readonly Origin[]
  /** By position, whether the output is there. */
  readonly outputs: readonly boolean[]
}

/** Where the value of an operand was made, in one run of the plan. */
export type Origin =
  | { readonly kind: 'absent' }
  | { readonly kind: 'constant'; readonly digest: Uint8Array }
  /** An input of the model. */
  | { readonly kind: 'input'; readonly index: number; readonly name: string }
  /** An output of another leaf. */
  | { readonly kind: 'leaf'; readonly position: string; readonly output: number }

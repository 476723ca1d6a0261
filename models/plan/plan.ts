/**
 * The plan of a model: what the exact lane executes, in which order, and where every operand comes from. It follows
 * from the model's bytes alone, so that anyone who has them derives the same plan, and its root names it.
 */

export interface Plan {
  /** Inputs of the main graph that are fed, in the graph's order; an input with an initializer is a constant. */
  readonly inputs: readonly string[]
  /** Outputs of the main graph, in the graph's order. */
  readonly outputs: readonly { readonly name: string; readonly source: Source }[]
  /**
   * The main graph first; then the branches and bodies of `If` and `Loop`, in the order in which they are met when the steps
   * of block after block are read in order: a block comes after the one that holds its step.
   */
  readonly blocks: readonly Block[]
  /** 32 bytes: the Merkle root over the records of the encoded plan, see `encodePlan`. */
  readonly root: Uint8Array
}

/** A graph: steps in deterministic topological order, and what it gives. */
export interface Block {
  readonly steps: readonly Step[]
  /**
   * Of the main block empty: see `Plan.outputs`. Of a branch one for each output of its `If`; of a loop body the condition,
   * the carried values, one element of each scan output.
   */
  readonly outputs: readonly Source[]
}

export type Step = OperatorStep | IfStep | LoopStep

interface StepBase {
  /** ONNX' own domain is the empty one. */
  readonly domain: string
  readonly type: string
  /** Version of the operator set of `domain` that the model imports. */
  readonly opset: number
  /**
   * 32 bytes: digest of domain, type, opset, attributes (all but the subgraphs of `If` and `Loop`) and of which optional
   * operands and outputs are there; `models/graph/operator-digest.ts` says how.
   */
  readonly digest: Uint8Array
  /**
   * By position; the trailing ones that are left out do not count. Of an operator with a subgraph (`Scan`), what the subgraph
   * captures follows, in the order in which it is first named.
   */
  readonly operands: readonly Source[]
  /** By position, whether the output is there. The trailing ones that are left out do not count. */
  readonly outputs: readonly boolean[]
}

/** Executed as a whole, by one session of its own. */
export interface OperatorStep extends StepBase {
  readonly kind: 'operator'
}

export interface IfStep extends StepBase {
  readonly kind: 'if'
  /** Indexes into `Plan.blocks`. */
  readonly thenBlock: number
  readonly elseBlock: number
}

/** Operands: trip count, condition (either may be absent), carried values. Outputs: carried values, then scan outputs. */
export interface LoopStep extends StepBase {
  readonly kind: 'loop'
  readonly body: number
  readonly carried: number
  /** Rank that the body declares for its iteration number and its condition; 0 where it declares none. */
  readonly iterationRank: 0 | 1
  readonly conditionRank: 0 | 1
  /**
   * Of each scan output: its element type (its number in `DTYPES`, from 1) and the dimensions of one element, for the case
   * of no iteration. A dimension that the model leaves open is 0.
   */
  readonly scans: readonly { readonly dtype: number; readonly dims: readonly number[] }[]
}

/** Where a value comes from, seen from a step (or from the end) of a block. `up` counts blocks outwards; 0 is the same. */
export type Source =
  /** An optional operand that is left out. */
  | { readonly kind: 'absent' }
  /** An initializer or a `Constant`, by its digest (`digestValue` of `models/trace`). */
  | { readonly kind: 'constant'; readonly digest: Uint8Array }
  /** An input of the main graph. */
  | { readonly kind: 'input'; readonly index: number }
  /** An output of a step: of an `If` or `Loop`, of its end. */
  | { readonly kind: 'step'; readonly up: number; readonly step: number; readonly output: number }
  /** An input of a loop body: 0 the iteration number, 1 the condition, 2 and up the carried values. */
  | { readonly kind: 'carried'; readonly up: number; readonly index: number }

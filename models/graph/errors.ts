export type GraphErrorCode =
  /** Not an ONNX model, truncated, or a graph that contradicts itself. */
  | 'corrupt-model'
  /** An input or output that is no tensor, or whose element type does not travel. */
  | 'unsupported-value'
  /** A model that may well run, but not in the exact lane. The message names the operator, the node and the reason. */
  | 'unsupported-operator'
  /** A digest that is none of the model's constants. */
  | 'unknown-constant'

export class GraphError extends Error {
  override readonly name = 'GraphError'
  readonly code: GraphErrorCode

  constructor(code: GraphErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

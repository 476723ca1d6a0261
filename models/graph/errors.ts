export type GraphErrorCode =
  /** Not an ONNX model, truncated, or a graph that refers to values that nothing produces. */
  | 'corrupt-model'
  /** An input or output that is no tensor, or whose element type does not travel. */
  | 'unsupported-value'

export class GraphError extends Error {
  override readonly name = 'GraphError'
  readonly code: GraphErrorCode

  constructor(code: GraphErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

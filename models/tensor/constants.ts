/** A model with more inputs or outputs than this is refused: real models have a handful, a transformer with a cache about a hundred. */
export const TENSOR_COUNT_MAX = 512
/** ONNX itself sets no limit on rank; nothing in use goes above 8. */
export const TENSOR_RANK_MAX = 16
/** UTF-8 bytes of a tensor's name. */
export const TENSOR_NAME_BYTES_MAX = 256
/** The most that one payload (all inputs, or all outputs, of one job) may weigh: bounds what a peer can make us hold. */
export const PAYLOAD_BYTES_MAX = 64 * 1024 * 1024
/** Data starts on a multiple of this many bytes, so that a typed array can look straight into the payload. */
export const PAYLOAD_ALIGNMENT = 8
/** Numbers and lists of one tensor as JSON, which are some 100 MB of text: the largest payload of float32 just fits. */
export const JSON_VALUES_MAX = 2 ** 24 + 2 ** 20

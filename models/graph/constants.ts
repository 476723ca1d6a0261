/** Protobuf cannot hold a message of 2 GiB and more; larger models keep their weights in external data. */
export const MODEL_BYTES_MAX = 2 ** 31 - 1
/** Element types, attributes, operators and kernels of the engine are known up to this version of the format. */
export const IR_VERSION_MAX = 12n
/** Nodes of all graphs of a model together, constants included: some ten times the largest model at hand. */
export const NODES_MAX = 262_144
/** Attributes of one node; no operator of ONNX has twenty. */
export const ATTRIBUTES_MAX = 64
/** Graphs in one another: as many as the position of a step can name. */
export const GRAPH_DEPTH_MAX = 8
/**
 * A constant of this size stands beside the model of its operator, so that the engine takes it in one copy instead of six:
 * a table of 40 MB in 60 ms instead of 380. What the engine reads while it infers shapes is never as large.
 */
export const BESIDE_BYTES_MIN = 64 * 1024

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

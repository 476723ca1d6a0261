import { fromBinary } from '@bufbuild/protobuf'
import { MODEL_BYTES_MAX } from './constants.ts'
import { GraphError } from './errors.ts'
import { type GraphProto, type ModelProto, ModelProtoSchema } from './generated/onnx_pb.js'

/** A decoded ONNX model. Its tensors' bytes look into the bytes it was read from; unknown fields are kept. */
export type OnnxModel = ModelProto & { readonly graph: GraphProto }

/**
 * Reads an `.onnx` file without copying its weights. Throws `corrupt-model` for what is malformed, truncated or no
 * ONNX model. A file cut between two fields is well-formed protobuf, so the graph must also hold together: every
 * value that a node or an output of the main graph names must exist.
 */
export function readModel(bytes: Uint8Array): OnnxModel {
  if (bytes.byteLength === 0) corrupt('the file is empty')
  if (bytes.byteLength > MODEL_BYTES_MAX) {
    corrupt(`it has ${bytes.byteLength} bytes; more than ${MODEL_BYTES_MAX} cannot be protobuf`)
  }
  const model = decode(bytes)
  if (model.irVersion < 1n) corrupt('it states no IR version')
  if (model.opsetImport.length === 0) corrupt('it states no operator set')
  if (!hasGraph(model)) corrupt('it holds no graph')
  verifyGraph(model.graph)
  return model
}

function decode(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new GraphError('corrupt-model', `not a readable ONNX model, or cut short: ${why}`, { cause })
  }
}

function hasGraph(model: ModelProto): model is OnnxModel {
  return model.graph !== undefined
}

/** Nodes may stand in any order: whoever executes them sorts them. */
function verifyGraph(graph: GraphProto): void {
  if (graph.output.length === 0) corrupt('its graph has no output')
  const known = new Set<string>()
  for (const input of graph.input) known.add(input.name)
  for (const initializer of graph.initializer) known.add(initializer.name)
  for (const sparse of graph.sparseInitializer) known.add(sparse.values?.name ?? '')
  for (const node of graph.node) for (const name of node.output) known.add(name)
  for (const node of graph.node) {
    for (const name of node.input) {
      // The empty name stands for an optional input that is left out.
      if (name !== '' && !known.has(name)) {
        corrupt(`node "${node.name}" (${node.opType}) reads "${name}", which nothing produces`)
      }
    }
  }
  for (const output of graph.output) {
    if (!known.has(output.name)) corrupt(`nothing produces its output "${output.name}"`)
  }
}

function corrupt(why: string): never {
  throw new GraphError('corrupt-model', `not a usable ONNX model: ${why}`)
}

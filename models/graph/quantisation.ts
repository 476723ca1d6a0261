import type { GraphProto, NodeProto } from './generated/onnx_pb.js'
import type { OnnxModel } from './model.ts'

/**
 * Whether an operator of the model rounds by a scale that it takes from the data, or multiplies small integers in a way that
 * some processors saturate. Honest machines then lie as far apart as a cheap cheat (up to 16 % between processors, 2.7 % and more
 * between batch sizes), so that no tolerance tells them apart: such a model is checked in the exact lane only.
 */
export function isDynamicallyQuantised({ graph }: OnnxModel): boolean {
  return nodesOf(graph).some(({ opType }) => OPERATORS.has(opType))
}

const OPERATORS: ReadonlySet<string> = new Set([
  'DynamicQuantizeLinear',
  'DynamicQuantizeMatMul',
  'DynamicQuantizeLSTM',
  'MatMulInteger',
  'MatMulIntegerToFloat',
  'ConvInteger',
])

function nodesOf(graph: GraphProto): NodeProto[] {
  return graph.node.flatMap((node) => [
    node,
    ...node.attribute.flatMap(({ g, graphs }) =>
      [...(g === undefined ? [] : [g]), ...graphs].flatMap((inner) => nodesOf(inner)),
    ),
  ])
}

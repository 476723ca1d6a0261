/** Control flow: values of every type through branches, bodies and scans. */
import type { OnnxGraph } from '../../fixtures/onnx-builder.ts'
import { node, value } from '../models/model.ts'
import { exactly, some, told, type Zoo } from './case.ts'

const branch = (name: string, operator: string): OnnxGraph => ({
  name,
  inputs: [],
  outputs: [value(`${name}Out`, 'float32')],
  nodes: [
    node('Constant', [], `${name}K`, {
      tensors: {
        value: { name: '', dtype: 'float32', dims: [2], data: exactly('float32', [2], [1, -2]).data },
      },
    }),
    node(operator, `${name}K`, `${name}Out`),
  ],
})

export const CONTROL_ZOO: Zoo = {
  If: () =>
    [0, 1].map((flag) =>
      told(
        { graphs: { then_branch: branch('then', 'Exp'), else_branch: branch('else', 'Neg') } },
        exactly('bool', [], [flag]),
      ),
    ),
  Loop: (_, dtype) => {
    const body: OnnxGraph = {
      name: 'body',
      inputs: [value('i', 'int64', []), value('c', 'bool', []), value('h', dtype)],
      outputs: [value('c2', 'bool', []), value('h2', dtype), value('e', dtype)],
      nodes: [node('Identity', 'c', 'c2'), node('Transpose', 'h', 'h2'), node('Identity', 'h', 'e')],
    }
    const trips = exactly('int64', [], [3])
    const square = some(dtype, [2, 2])
    return [{ ...told({ graphs: { body } }, trips, exactly('bool', [], [1]), square), outputs: 2 }]
  },
  Scan: (_, dtype) => {
    const body: OnnxGraph = {
      name: 'body',
      inputs: [value('h', dtype, [3]), value('x', dtype, [3])],
      outputs: [value('h2', dtype, [3]), value('y', dtype, [3])],
      nodes: [node('Identity', 'x', 'h2'), node('Identity', 'h', 'y')],
    }
    const node_ = { integers: { num_scan_inputs: 1 }, graphs: { body } }
    return [{ ...told(node_, some(dtype, [3]), some(dtype, [4, 3], { seed: 1 })), outputs: 2 }]
  },
}

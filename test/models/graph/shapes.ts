/** One model with all that a plan can hold, and ways to write the same model differently. */
import { clone as cloneMessage } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
} from '../../../models/graph/generated/onnx_pb.js'
import { type OnnxModel, prepareExactModel, readModel } from '../../../models/graph/index.ts'
import type { Plan } from '../../../models/plan/index.ts'
import {
  buildModel,
  type OnnxGraph,
  type OnnxModelOptions,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
  tensorOf,
} from '../../fixtures/onnx-builder.ts'

export const NO_FILES: ReadonlyMap<string, Uint8Array> = new Map()

export function planOf(model: Uint8Array | OnnxModel, external = NO_FILES): Plan {
  return prepareExactModel(model instanceof Uint8Array ? readModel(model) : model, external).plan
}

export function rootOf(model: Uint8Array | OnnxModel, external = NO_FILES): string {
  return Buffer.from(planOf(model, external).root).toString('hex')
}

/** `x [n] float32 -> y`, with these nodes and initializers. */
export function build(
  nodes: readonly OnnxNode[],
  more: Partial<OnnxGraph> & { readonly options?: OnnxModelOptions } = {},
): Uint8Array {
  const { options, ...graph } = more
  return buildModel({ inputs: [value('x')], outputs: [value('y')], nodes, ...graph }, options)
}

export function value(
  name: string,
  dtype: OnnxValue['dtype'] = 'float32',
  dims?: OnnxValue['dims'],
): OnnxValue {
  return { name, dtype, dims: dims ?? ['n'] }
}

export function scalar(name: string, number: number, dtype: OnnxTensor['dtype'] = 'float32'): OnnxTensor {
  return tensorOf(name, dtype, [], [number])
}

/** Scan with captures, If in If, Loop with a scan output, shadowed names, every form of Constant. */
export function everyShape(): Uint8Array {
  const scanBody: OnnxGraph = {
    inputs: [value('state', 'float32', []), value('row', 'float32', [])],
    outputs: [value('next', 'float32', []), value('out', 'float32', [])],
    initializers: [scalar('inner', 3)],
    nodes: [
      { operator: 'Mul', inputs: ['row', 'zoom'], outputs: ['zoomed'] },
      { operator: 'Add', inputs: ['zoomed', 'inner'], outputs: ['moved'] },
      { operator: 'Add', inputs: ['state', 'moved'], outputs: ['next'] },
      { operator: 'Sub', inputs: ['next', 'aim'], outputs: ['out'] },
    ],
  }
  const deep = (sign: string): OnnxGraph => ({
    inputs: [],
    outputs: [value('deep')],
    nodes: [{ operator: sign, inputs: ['scanned'], outputs: ['deep'] }],
  })
  const loopBody: OnnxGraph = {
    inputs: [value('turn', 'int64', []), value('go', 'bool', []), value('carried')],
    outputs: [value('go', 'bool', []), value('grown'), value('each', 'float32', [])],
    initializers: [scalar('half', 0.5)],
    nodes: [
      // Hides the outer value of that name.
      { operator: 'Mul', inputs: ['carried', 'half'], outputs: ['scanned'] },
      { operator: 'Add', inputs: ['scanned', 'chosen'], outputs: ['grown'] },
      { operator: 'ReduceMax', inputs: ['grown'], outputs: ['each'], integers: { keepdims: 0 } },
    ],
  }
  return buildModel({
    inputs: [value('x'), value('flag', 'bool', []), value('trips', 'int64', [])],
    outputs: [value('y'), value('all'), value('flag', 'bool', [])],
    initializers: [scalar('zoom', 2), { ...tensorOf('weights', 'float32', [3], [1, 2, 3]), stored: 'typed' }],
    nodes: [
      { operator: 'Constant', name: 'c', inputs: [], outputs: ['aim'], floats: { value_float: 0.25 } },
      { operator: 'Constant', inputs: [], outputs: ['axes'], integers: { value_ints: [0] } },
      { operator: 'ReduceSum', inputs: ['x', 'axes'], outputs: ['start'], integers: { keepdims: 0 } },
      {
        operator: 'Scan',
        inputs: ['start', 'x'],
        outputs: ['sum', 'scanned'],
        integers: { num_scan_inputs: 1 },
        graphs: { body: scanBody },
      },
      {
        operator: 'If',
        inputs: ['flag'],
        outputs: ['chosen'],
        graphs: {
          then_branch: {
            inputs: [],
            outputs: [value('picked')],
            nodes: [
              {
                operator: 'If',
                inputs: ['flag'],
                outputs: ['picked'],
                graphs: { then_branch: deep('Neg'), else_branch: deep('Abs') },
              },
            ],
          },
          else_branch: { inputs: [], outputs: [value('weights', 'float32', [3])], nodes: [] },
        },
      },
      { operator: 'Loop', inputs: ['trips', '', 'x'], outputs: ['y', 'all'], graphs: { body: loopBody } },
      { operator: 'Clip', inputs: ['x', '', 'zoom'], outputs: ['unused'] },
    ],
  })
}

/**
 * The same model with every inner name changed by `rename` (which must be injective), attributes in the order of `order` and
 * documentation everywhere.
 */
export function disguise(
  model: OnnxModel,
  rename: (name: string) => string,
  order: (name: string) => number,
): OnnxModel {
  const kept = new Set([...model.graph.input, ...model.graph.output].map(({ name }) => name))
  const nameOf = (name: string): string => (name === '' || kept.has(name) ? name : rename(name))
  const visit = (graph: GraphProto): void => {
    graph.name = rename(graph.name)
    graph.docString = 'a graph'
    for (const one of [...graph.input, ...graph.output, ...graph.valueInfo, ...graph.initializer]) {
      one.name = nameOf(one.name)
      one.docString = 'a value'
    }
    for (const node of graph.node) {
      node.name = rename(node.name)
      node.docString = 'a node'
      node.input = node.input.map(nameOf)
      node.output = node.output.map(nameOf)
      node.attribute.sort((a, b) => order(a.name) - order(b.name))
      for (const attribute of node.attribute) {
        attribute.docString = 'an attribute'
        if (attribute.t !== undefined) attribute.t.name = rename(attribute.t.name)
        if (attribute.g !== undefined) visit(attribute.g)
      }
    }
  }
  const copy = clone(model)
  visit(copy.graph)
  copy.producerName = 'somebody else'
  return copy
}

export function clone(model: OnnxModel): OnnxModel {
  return cloneMessage(ModelProtoSchema, model) as OnnxModel
}

/** All nodes of all graphs. */
export function nodesOf(graph: GraphProto): NodeProto[] {
  return graph.node.flatMap((node) => [
    node,
    ...node.attribute.flatMap(({ g }: AttributeProto) => (g === undefined ? [] : nodesOf(g))),
  ])
}

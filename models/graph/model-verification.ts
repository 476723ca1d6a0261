/** Whether the exact lane executes a model, as far as can be told from its graphs: every node in every graph is looked at. */
import type { DType } from '../tensor/index.ts'
import { GRAPH_DEPTH_MAX, NODES_MAX } from './constants.ts'
import { dtypeOfElement, elementName } from './element-type.ts'
import { GraphError } from './errors.ts'
import type { GraphProto, TypeProto } from './generated/onnx_pb.js'
import type { OnnxModel } from './model.ts'
import { subgraphsOf } from './names.ts'
import { domainOf } from './operator-digest.ts'
import { refuseNode, verifyConstantNode, verifyNode, verifyOperandTypes } from './operator-verification.ts'

/** Throws GraphError `unsupported-operator` at the first node that is not supported, `corrupt-model` where graphs have no end. */
export function verifyModel(model: OnnxModel, opsetOf: (domain: string) => number): void {
  const functions = new Set(model.functions.map((definition) => `${domainOf(definition)}:${definition.name}`))
  let nodes = 0
  const visit = (graph: GraphProto, outer: Types | undefined, depth: number): void => {
    if (depth > GRAPH_DEPTH_MAX) {
      throw new GraphError(
        'unsupported-operator',
        `graphs are nested in more than ${GRAPH_DEPTH_MAX} others, which the exact lane does not support`,
      )
    }
    const types = new Types(graph, outer)
    for (const node of graph.node) {
      nodes++
      if (nodes > NODES_MAX)
        throw new GraphError('unsupported-operator', `the model has more than ${NODES_MAX} nodes`)
      const domain = domainOf(node)
      const operator = { domain, type: node.opType, opset: opsetOf(domain) }
      if (functions.has(`${domain}:${node.opType}`))
        refuseNode(node, operator, "it is a function of the model's own")
      if (domain === '' && node.opType === 'Constant') {
        verifyConstantNode(node, operator)
        continue
      }
      verifyNode(node, operator)
      const name = node.name === '' ? (node.output[0] ?? '') : node.name
      const dtypes = node.input.map((operand) =>
        types.dtypeOf(operand, (why) => refuseNode(node, operator, why)),
      )
      verifyOperandTypes(operator, dtypes, name)
      for (const subgraph of subgraphsOf(node)) visit(subgraph, types, depth + 1)
    }
  }
  visit(model.graph, undefined, 0)
}

/** The element types of values as far as the model states them. */
class Types {
  readonly #outer: Types | undefined
  /** By name: the type's number, or what it is where it is no tensor. Undefined for what is defined without a type. */
  readonly #stated = new Map<string, number | string | undefined>()

  constructor(graph: GraphProto, outer: Types | undefined) {
    this.#outer = outer
    for (const node of graph.node) for (const name of node.output) this.#stated.set(name, undefined)
    for (const { name, type } of [...graph.input, ...graph.valueInfo, ...graph.output]) {
      const stated = statedType(type)
      if (stated !== undefined) this.#stated.set(name, stated)
    }
    for (const { name, dataType } of graph.initializer) this.#stated.set(name, dataType)
    this.#stated.delete('')
  }

  dtypeOf(name: string, refuse: (why: string) => never): DType | undefined {
    if (!this.#stated.has(name)) return this.#outer?.dtypeOf(name, refuse)
    const stated = this.#stated.get(name)
    // Type 0 is a value without one.
    if (stated === undefined || stated === 0) return undefined
    if (typeof stated === 'string') return refuse(`its operand "${name}" is ${stated}, not a tensor`)
    return dtypeOfElement(stated) ?? refuse(`its operand "${name}" has elements of ${elementName(stated)}`)
  }
}

function statedType(type: TypeProto | undefined): number | string | undefined {
  const value = type?.value
  switch (value?.case) {
    case undefined:
      return undefined
    case 'tensorType':
      return value.value.elemType
    case 'sequenceType':
      return 'a sequence'
    case 'mapType':
      return 'a map'
    case 'optionalType':
      return 'an optional'
    case 'sparseTensorType':
      return 'a sparse tensor'
  }
}

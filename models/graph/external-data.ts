import { GraphError } from './errors.ts'
import {
  type AttributeProto,
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  type NodeProto,
  type SparseTensorProto,
  type TensorProto,
} from './generated/onnx_pb.js'
import type { OnnxModel } from './model.ts'

/**
 * The files outside the `.onnx` that a model keeps tensors in: each location as written (relative to the model's
 * own file, not yet judged safe), with the bytes that the file must have at least. Looks everywhere a tensor can be:
 * initializers, constants in attributes, subgraphs and functions. Throws `corrupt-model`.
 */
export function externalDataExtents(model: OnnxModel): ReadonlyMap<string, number> {
  const extents = new Map<string, number>()
  const addTensor = (tensor: TensorProto | undefined): void => {
    if (tensor?.dataLocation !== DataLocation.EXTERNAL) return
    const { location, bytesEnd } = externalReference(tensor)
    extents.set(location, Math.max(extents.get(location) ?? 0, bytesEnd))
  }
  const addSparse = (sparse: SparseTensorProto | undefined): void => {
    addTensor(sparse?.values)
    addTensor(sparse?.indices)
  }
  const addAttribute = (attribute: AttributeProto): void => {
    addTensor(attribute.t)
    for (const tensor of attribute.tensors) addTensor(tensor)
    addSparse(attribute.sparseTensor)
    for (const sparse of attribute.sparseTensors) addSparse(sparse)
    if (attribute.g !== undefined) addGraph(attribute.g)
    for (const graph of attribute.graphs) addGraph(graph)
  }
  const addNode = (node: NodeProto): void => {
    for (const attribute of node.attribute) addAttribute(attribute)
  }
  const addGraph = (graph: GraphProto): void => {
    for (const tensor of graph.initializer) addTensor(tensor)
    for (const sparse of graph.sparseInitializer) addSparse(sparse)
    for (const node of graph.node) addNode(node)
  }
  addGraph(model.graph)
  for (const definition of model.functions) {
    for (const attribute of definition.attributeProto) addAttribute(attribute)
    for (const node of definition.node) addNode(node)
  }
  return extents
}

/** The locations of `externalDataExtents`, distinct and sorted. */
export function externalDataLocations(model: OnnxModel): string[] {
  return [...externalDataExtents(model).keys()].sort()
}

function externalReference(tensor: TensorProto): { location: string; bytesEnd: number } {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]))
  const location = entries.get('location')
  if (location === undefined || location === '') corrupt(tensor, 'names no file')
  const offset = Number(entries.get('offset') ?? 0)
  const length = Number(entries.get('length') ?? 0)
  const bytesEnd = offset + length
  if (!Number.isSafeInteger(bytesEnd) || offset < 0 || length < 0)
    corrupt(tensor, 'has a bad offset or length')
  return { location, bytesEnd }
}

function corrupt(tensor: TensorProto, why: string): never {
  throw new GraphError('corrupt-model', `tensor "${tensor.name}" lies outside the model file but ${why}`)
}

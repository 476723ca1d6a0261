/** A model of one operator, for the exact lane to run alone. */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import type { OperatorStep } from '../plan/index.ts'
import type { DType } from '../tensor/index.ts'
import type { Value } from '../trace/index.ts'
import { type ExternalData, tensorValue } from './constant.ts'
import { BESIDE_BYTES_MIN } from './constants.ts'
import { elementOfDtype } from './element-type.ts'
import { GraphError } from './errors.ts'
import type { OperatorModel } from './exact-model.ts'
import {
  type AttributeProto,
  AttributeProtoSchema,
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  type TensorProtoSchema,
  type ValueInfoProto,
  type ValueInfoProtoSchema,
} from './generated/onnx_pb.js'
import type { OnnxModel } from './model.ts'
import { capturesOf, definitionsOf, subgraphsOf } from './names.ts'
import { domainOf, withoutTrailing } from './operator-digest.ts'

export interface OperatorSource {
  readonly model: OnnxModel
  readonly external: ExternalData
  readonly constant: (digest: Uint8Array) => Value
}

/**
 * Operands and outputs get names of their own, each position one: an operand that the node names twice is fed twice, so that
 * the same step has the same model whatever its values are called. The engine never writes to what it is fed, so that both
 * may look at the same bytes. What a subgraph captures keeps its name. All that is in the model is in the operator's digest, but
 * for constants and element types.
 */
export function buildOperatorModel(
  node: NodeProto,
  step: OperatorStep,
  dtypes: readonly (DType | undefined)[],
  source: OperatorSource,
): OperatorModel {
  const captures = capturesOf(node)
  const own = step.operands.length - captures.length
  const prefix = freePrefix(node)
  const nameAt = (position: number): string =>
    position < own ? `${prefix}i${position}` : captures[position - own]!
  const feeds: { position: number; name: string }[] = []
  const inputs: MessageInitShape<typeof ValueInfoProtoSchema>[] = []
  const initializers: MessageInitShape<typeof TensorProtoSchema>[] = []
  const beside = new Map<string, Uint8Array>()
  for (const [position, operand] of step.operands.entries()) {
    if (operand.kind === 'absent') continue
    const name = nameAt(position)
    if (operand.kind === 'constant') {
      const value = source.constant(operand.digest)
      if (standsBeside(value)) {
        const location = `${position}`
        beside.set(location, value.data)
        initializers.push({ name, ...externalInit(value, location) })
      } else initializers.push({ name, ...tensorInit(value) })
      continue
    }
    const dtype = dtypes[position]
    if (dtype === undefined) throw new Error(`the element type of operand ${position} is missing`)
    inputs.push({ name, type: { value: { case: 'tensorType', value: { elemType: elementOfDtype(dtype) } } } })
    feeds.push({ position, name })
  }
  const outputs = step.outputs.map((isThere, position) => (isThere ? `${prefix}o${position}` : ''))
  const results = outputs.flatMap((name, position) => (name === '' ? [] : [{ position, name }]))
  const alone = create(NodeProtoSchema, {
    opType: node.opType,
    domain: domainOf(node),
    input: step.operands
      .slice(0, own)
      .map(({ kind }, position) => (kind === 'absent' ? '' : nameAt(position))),
    output: outputs,
    attribute: node.attribute.map((attribute) => plainAttribute(attribute, source.external)),
  })
  keepUnknown(node, alone)
  const { irVersion, opsetImport } = source.model
  const model = create(ModelProtoSchema, {
    irVersion,
    opsetImport: opsetImport.map(({ domain, version }) => ({ domain, version })),
    graph: {
      name: 'step',
      node: [alone],
      input: inputs,
      initializer: initializers,
      output: results.map(({ name }) => ({ name })),
    },
  })
  return { bytes: toBinary(ModelProtoSchema, model), external: beside, feeds, results }
}

/** No name within the operator begins so. */
function freePrefix(node: NodeProto): string {
  const names = [...capturesOf(node)]
  const collect = (graph: GraphProto): void => {
    names.push(...definitionsOf(graph).keys())
    for (const inner of graph.node) for (const subgraph of subgraphsOf(inner)) collect(subgraph)
  }
  for (const graph of subgraphsOf(node)) collect(graph)
  if (names.length === 0) return ''
  let tildes = 0
  for (const name of names) tildes = Math.max(tildes, name.length - name.replace(/^~+/, '').length)
  return '~'.repeat(tildes + 1)
}

function plainAttribute(attribute: AttributeProto, external: ExternalData): AttributeProto {
  const { t, g } = attribute
  if (t === undefined && g === undefined && attribute.docString === '') return attribute
  const { $typeName: _, $unknown: __, docString: ___, ...fields } = attribute
  const plain = create(AttributeProtoSchema, {
    ...fields,
    ...(t === undefined ? {} : { t: plainTensor(t, external) }),
    ...(g === undefined ? {} : { g: plainGraph(g, external) }),
  })
  keepUnknown(attribute, plain)
  return plain
}

/** A subgraph without documentation and the types of values inside, which the engine finds out itself. */
function plainGraph(graph: GraphProto, external: ExternalData): GraphProto {
  const plain = create(GraphProtoSchema, {
    name: 'graph',
    input: graph.input.map(plainValue),
    output: graph.output.map(plainValue),
    initializer: graph.initializer.map((tensor) => ({ name: tensor.name, ...plainTensor(tensor, external) })),
    node: graph.node.map((inner) => {
      const copy = create(NodeProtoSchema, {
        opType: inner.opType,
        domain: domainOf(inner),
        input: [...withoutTrailing(inner.input)],
        output: [...withoutTrailing(inner.output)],
        attribute: inner.attribute.map((attribute) => plainAttribute(attribute, external)),
      })
      keepUnknown(inner, copy)
      return copy
    }),
  })
  keepUnknown(graph, plain)
  return plain
}

function plainValue({ name, type }: ValueInfoProto): MessageInitShape<typeof ValueInfoProtoSchema> {
  const value = type?.value
  if (value?.case !== 'tensorType') return { name }
  const { elemType, shape } = value.value
  const dims = shape?.dim.map(({ value: dim }) => ({ value: dim }))
  const tensor = { elemType, ...(dims === undefined ? {} : { shape: { dim: dims } }) }
  return { name, type: { value: { case: 'tensorType', value: tensor } } }
}

function plainTensor(
  tensor: TensorProto,
  external: ExternalData,
): MessageInitShape<typeof TensorProtoSchema> {
  return tensorInit(tensorValue(tensor, external))
}

function tensorInit({ dtype, dims, data }: Value): { dims: bigint[]; dataType: number; rawData: Uint8Array } {
  return { dims: dims.map(BigInt), dataType: elementOfDtype(dtype), rawData: data }
}

/** Integers never: shapes, axes and indexes are among them, which the engine wants to see while it loads. */
function standsBeside({ dtype, data }: Value): boolean {
  return data.byteLength >= BESIDE_BYTES_MIN && dtype !== 'int64' && dtype !== 'int32'
}

function externalInit(
  { dtype, dims, data }: Value,
  location: string,
): MessageInitShape<typeof TensorProtoSchema> {
  const externalData = [
    { key: 'location', value: location },
    { key: 'offset', value: '0' },
    { key: 'length', value: String(data.byteLength) },
  ]
  return {
    dims: dims.map(BigInt),
    dataType: elementOfDtype(dtype),
    dataLocation: DataLocation.EXTERNAL,
    externalData,
  }
}

type Message = NodeProto | AttributeProto | GraphProto

/** Fields that a later version of the format has: the engine may know them. */
function keepUnknown(from: Message, to: Message): void {
  if (from.$unknown === undefined) return
  if (from.$typeName !== to.$typeName) throw new GraphError('corrupt-model', 'unreachable')
  to.$unknown = from.$unknown
}

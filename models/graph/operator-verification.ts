/** Whether the exact lane executes a node, as far as can be told before it runs. */
import { isFieldSet } from '@bufbuild/protobuf'
import type { DType } from '../tensor/index.ts'
import { ATTRIBUTES_MAX } from './constants.ts'
import { dtypeOfElement, elementName } from './element-type.ts'
import { GraphError } from './errors.ts'
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type NodeProto,
} from './generated/onnx_pb.js'
import { type ListedOperator, listedOperator, refusalOf } from './operators.ts'

export interface Operator {
  readonly domain: string
  readonly type: string
  readonly opset: number
}

/**
 * Throws `unsupported-operator`, with the operator's name, its node's and the reason, unless the operator is listed for that
 * version, has attributes of one plain meaning, and is neither training nor summing up in no fixed order.
 */
export function verifyNode(node: NodeProto, operator: Operator): void {
  const refuse = (why: string): never => refuseNode(node, operator, why)
  verifyListed(operator, refuse)
  if (node.overload !== '') refuse('it names an overload, which only functions have')
  verifyAttributes(node, refuse)
  verifySpecial(node, operator, refuse)
}

/** The same for a `Constant`, which needs no entry in the list: throws unless its value is made of numbers. */
export function verifyConstantNode(node: NodeProto, operator: Operator): void {
  const refuse = (why: string): never => refuseNode(node, operator, why)
  verifyAttributes(node, refuse)
  for (const { type } of node.attribute) {
    if (type === AttributeType.STRING || type === AttributeType.STRINGS) refuse('it is text')
  }
}

/**
 * Throws `unsupported-operator` where the operator is not listed for an element type of its operands. `dtypes` by position;
 * undefined for what is absent or not known yet. The engine calls it with the types that it has at hand: it refuses
 * on every machine or on none.
 */
export function verifyOperandTypes(
  operator: Operator,
  dtypes: readonly (DType | undefined)[],
  node = '',
): void {
  const refuse = (why: string): never => refuseNode({ name: node, output: [] }, operator, why)
  const { dtypes: listed } = verifyListed(operator, refuse)
  for (const [position, dtype] of dtypes.entries()) {
    if (dtype !== undefined && !listed.has(dtype)) {
      refuse(`its operand ${position} is ${dtype}; the exact lane has it for ${[...listed].join(', ')}`)
    }
  }
}

/** Throws `unsupported-operator` with all that people need to find the node. */
export function refuseNode(
  node: Pick<NodeProto, 'name' | 'output'>,
  { domain, type, opset }: Operator,
  why: string,
): never {
  const name = node.name === '' ? node.output.find((output) => output !== '') : node.name
  throw new GraphError(
    'unsupported-operator',
    `the operator ${domain === '' ? '' : `${domain}.`}${type} (version ${opset})${name === undefined ? '' : ` at node "${name}"`} is not supported by the exact lane: ${why}`,
  )
}

function verifyListed({ domain, type, opset }: Operator, refuse: (why: string) => never): ListedOperator {
  const listed = listedOperator(domain, type)
  if (listed === undefined) {
    return refuse(refusalOf(domain, type) ?? 'it is not on the list of those known to be reproducible')
  }
  const { opsetFirst, opsetLast } = listed
  if (opset < opsetFirst || opset > opsetLast) {
    refuse(`it is listed for versions ${opsetFirst} to ${opsetLast} of its operator set`)
  }
  return listed
}

/** The field of AttributeProto that holds a value of each type. What is missing here cannot be in a listed operator. */
const FIELD_OF: ReadonlyMap<AttributeType, string> = new Map([
  [AttributeType.FLOAT, 'f'],
  [AttributeType.INT, 'i'],
  [AttributeType.STRING, 's'],
  [AttributeType.TENSOR, 't'],
  [AttributeType.GRAPH, 'g'],
  [AttributeType.FLOATS, 'floats'],
  [AttributeType.INTS, 'ints'],
  [AttributeType.STRINGS, 'strings'],
])

/** An attribute with a second value, or a second one of its name, could be read in two ways. */
function verifyAttributes(node: NodeProto, refuse: (why: string) => never): void {
  if (node.attribute.length > ATTRIBUTES_MAX) refuse(`it has more than ${ATTRIBUTES_MAX} attributes`)
  const names = new Set<string>()
  for (const attribute of node.attribute) {
    const { name, type } = attribute
    if (name === '' || names.has(name)) refuse(`it has the attribute "${name}" twice or without a name`)
    names.add(name)
    const field = FIELD_OF.get(type)
    if (field === undefined) refuse(`its attribute "${name}" is of type ${AttributeType[type] ?? type}`)
    for (const known of AttributeProtoSchema.fields) {
      const isSet = isFieldSet(attribute, known)
      if (isSet && known.name !== field && !['name', 'type', 'doc_string'].includes(known.name)) {
        refuse(`its attribute "${name}" has ${known.name} beside its value`)
      }
      if (!isSet && known.name === field && (field === 't' || field === 'g')) {
        refuse(`its attribute "${name}" has no value`)
      }
    }
    const mayHoldGraph = ['If', 'Loop', 'Scan'].includes(node.opType)
    if (type === AttributeType.GRAPH && !mayHoldGraph) refuse(`its attribute "${name}" is a graph`)
  }
}

function verifySpecial(
  node: NodeProto,
  { domain, type, opset }: Operator,
  refuse: (why: string) => never,
): void {
  if (domain !== '') return
  const find = (name: string): AttributeProto | undefined =>
    node.attribute.find((attribute) => attribute.name === name)
  const verifyElementType = (name: string): void => {
    const element = Number(find(name)?.i ?? 0n)
    if (element !== 0 && dtypeOfElement(element) === undefined) refuse(`it makes ${elementName(element)}`)
  }
  switch (type) {
    case 'BatchNormalization': {
      const isTraining =
        (find('training_mode')?.i ?? 0n) !== 0n || node.output.slice(1).some((name) => name !== '')
      if (isTraining) refuse('it trains')
      break
    }
    case 'Dropout':
      // The third operand says whether it trains; left out, it does not. Before version 12 it never does.
      if (opset >= 12 && (node.input[2] ?? '') !== '') refuse('it may train, which draws random numbers')
      break
    case 'ScatterElements':
    case 'ScatterND': {
      const reduction = Buffer.from(find('reduction')?.s ?? []).toString('utf8')
      if (reduction !== '' && reduction !== 'none') refuse(`it adds up by "${reduction}" in no fixed order`)
      break
    }
    case 'Scan':
      if (node.output.includes('')) refuse('it leaves out an output, which the engine does not know')
      break
    case 'Cast':
      verifyElementType('to')
      break
    case 'EyeLike':
      verifyElementType('dtype')
      break
    case 'QuantizeLinear':
      verifyElementType('output_dtype')
      break
  }
}

/**
 * The digest of an operator: SHA-256 over its canonical form, in which no name of a value or node, no order of attributes,
 * no documentation and no way of storing a tensor shows.
 *
 *     operator  := "verimesh/operator/1\0" head operands:flags captures:u32 outputs:flags
 *     head      := text(domain) text(type) opset:u32 list(attribute) unknown
 *     flags     := list(1:u8 where it is there, 0:u8 where it is left out)
 *     attribute := text(name) type:u8 content unknown
 *     unknown   := list(field:u32 wire:u8 list(byte:u8))
 *     text      := list(byte:u8)                               UTF-8
 *     list(X)   := count:u32 X*
 *
 * Integers are little-endian. `domain` is empty for `ai.onnx`; `opset` is the version that the model imports. Attributes
 * are sorted by name (by UTF-16 code unit); the subgraphs of `If` and `Loop`, whose steps are steps of the plan, are left
 * out. Operands and outputs that are left out at the end do not count. `captures` is how many values the subgraphs take
 * from outside. `type` is ONNX' AttributeProto.AttributeType. `content` by type:
 *
 *     FLOAT      f32, a NaN as 0x7fc00000          FLOATS     list(f32)
 *     INT        i64                               INTS       list(i64)
 *     STRING     list(byte:u8)                     STRINGS    list(list(byte:u8))
 *     TENSOR     32 bytes: `digestValue`, its NaNs as they stand
 *     GRAPH      graph
 *
 *     graph     := list(type) list(32 bytes of an initializer) list(node) list(reference) list(type) unknown
 *     node      := head list(reference) flags
 *     type      := 0:u8 | 1:u8 element:u32 (0:u8 | 1:u8 list(dim))
 *     dim       := 0:u8 | 1:u8 value:u64 | 2:u8 text(symbol)
 *     reference := 0:u8                                        left out
 *                | 1:u8 up:u32 index:u32                       a value of a graph within the operator
 *                | 2:u8 index:u32                              a value from outside
 *
 * A graph lists the types of its inputs, its initializers, its nodes, its outputs and their types, each in the file's
 * order. Its values are numbered as it defines them: inputs, initializers, then node after node the outputs that are there.
 * `up` counts graphs outwards; values from outside are numbered in the order in which the operator first names them.
 * `unknown` are the fields that the format as known here does not have, in the file's order: a later engine may read them.
 */
import { createHash } from 'node:crypto'
import { digestValue } from '../trace/index.ts'
import { type ExternalData, tensorValue } from './constant.ts'
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type NodeProto,
  type ValueInfoProto,
} from './generated/onnx_pb.js'
import { capturesOf, compareNames, definitionsOf } from './names.ts'

export interface OperatorContext {
  /** The version of each domain that the model imports. */
  readonly opsetOf: (domain: string) => number
  readonly external: ExternalData
}

/** See above. The node's attributes were verified by `verifyAttributes`. Throws GraphError for its tensors. */
export function operatorDigest(node: NodeProto, context: OperatorContext): Uint8Array {
  const form = new CanonicalForm()
  const captures = capturesOf(node)
  form.ascii('verimesh/operator/1\0')
  const names = new Map(captures.map((name, index) => [name, index]))
  const isFlattened = isControlFlow(node)
  writeHead(form, node, context, { outside: names, scopes: [] }, isFlattened)
  writeFlags(form, withoutTrailing(node.input))
  form.u32(isFlattened ? 0 : captures.length)
  writeFlags(form, withoutTrailing(node.output))
  return form.digest()
}

/** Whether the steps of a node's subgraphs are steps of the plan. */
export function isControlFlow(node: NodeProto): boolean {
  return domainOf(node) === '' && (node.opType === 'If' || node.opType === 'Loop')
}

/** ONNX' own operators have a domain of two names. */
export function domainOf({ domain }: { readonly domain: string }): string {
  return domain === 'ai.onnx' ? '' : domain
}

/** Names of operands or outputs without those at the end that are left out. */
export function withoutTrailing(names: readonly string[]): readonly string[] {
  return names.slice(0, names.findLastIndex((name) => name !== '') + 1)
}

/** The graphs around a node within its operator, innermost first, each with the numbers of its values. */
interface Names {
  readonly outside: ReadonlyMap<string, number>
  readonly scopes: readonly ReadonlyMap<string, number>[]
}

function writeHead(
  form: CanonicalForm,
  node: NodeProto,
  context: OperatorContext,
  names: Names,
  isFlattened: boolean,
): void {
  const domain = domainOf(node)
  form.text(domain)
  form.text(node.opType)
  form.u32(context.opsetOf(domain))
  const attributes = node.attribute
    .filter(({ type }) => !(isFlattened && type === AttributeType.GRAPH))
    .toSorted((a, b) => compareNames(a.name, b.name))
  form.u32(attributes.length)
  for (const attribute of attributes) writeAttribute(form, attribute, context, names)
  writeUnknown(form, node)
}

function writeAttribute(
  form: CanonicalForm,
  attribute: AttributeProto,
  context: OperatorContext,
  names: Names,
): void {
  form.text(attribute.name)
  form.u8(attribute.type)
  switch (attribute.type) {
    case AttributeType.FLOAT:
      form.f32(attribute.f)
      break
    case AttributeType.FLOATS:
      form.u32(attribute.floats.length)
      for (const one of attribute.floats) form.f32(one)
      break
    case AttributeType.INT:
      form.i64(attribute.i)
      break
    case AttributeType.INTS:
      form.u32(attribute.ints.length)
      for (const one of attribute.ints) form.i64(one)
      break
    case AttributeType.STRING:
      form.sized(attribute.s)
      break
    case AttributeType.STRINGS:
      form.u32(attribute.strings.length)
      for (const one of attribute.strings) form.sized(one)
      break
    case AttributeType.TENSOR:
      form.bytes(digestValue(tensorValue(attribute.t!, context.external)))
      break
    case AttributeType.GRAPH:
      writeGraph(form, attribute.g!, context, names)
      break
    default:
      throw new Error(`an attribute of type ${attribute.type} was not refused`)
  }
  writeUnknown(form, attribute)
}

function writeGraph(form: CanonicalForm, graph: GraphProto, context: OperatorContext, outer: Names): void {
  const values = new Map([...definitionsOf(graph).keys()].map((name, index) => [name, index]))
  const names = { outside: outer.outside, scopes: [values, ...outer.scopes] }
  form.u32(graph.input.length)
  for (const input of graph.input) writeType(form, input)
  form.u32(graph.initializer.length)
  for (const tensor of graph.initializer) form.bytes(digestValue(tensorValue(tensor, context.external)))
  form.u32(graph.node.length)
  for (const node of graph.node) {
    writeHead(form, node, context, names, false)
    const operands = withoutTrailing(node.input)
    form.u32(operands.length)
    for (const name of operands) writeReference(form, name, names)
    writeFlags(form, withoutTrailing(node.output))
  }
  form.u32(graph.output.length)
  for (const { name } of graph.output) writeReference(form, name, names)
  form.u32(graph.output.length)
  for (const output of graph.output) writeType(form, output)
  writeUnknown(form, graph)
}

function writeReference(form: CanonicalForm, name: string, { outside, scopes }: Names): void {
  if (name === '') {
    form.u8(0)
    return
  }
  const up = scopes.findIndex((scope) => scope.has(name))
  if (up >= 0) {
    form.u8(1)
    form.u32(up)
    form.u32(scopes[up]!.get(name)!)
  } else {
    form.u8(2)
    form.u32(outside.get(name)!)
  }
}

function writeType(form: CanonicalForm, { type }: ValueInfoProto): void {
  const value = type?.value
  if (value?.case !== 'tensorType') {
    form.u8(0)
    return
  }
  form.u8(1)
  form.u32(value.value.elemType)
  const { shape } = value.value
  if (shape === undefined) {
    form.u8(0)
    return
  }
  form.u8(1)
  form.u32(shape.dim.length)
  for (const { value: dim } of shape.dim) {
    if (dim.case === 'dimValue') {
      form.u8(1)
      form.i64(dim.value)
    } else if (dim.case === 'dimParam') {
      form.u8(2)
      form.text(dim.value)
    } else form.u8(0)
  }
}

function writeFlags(form: CanonicalForm, names: readonly string[]): void {
  form.u32(names.length)
  for (const name of names) form.u8(name === '' ? 0 : 1)
}

function writeUnknown(form: CanonicalForm, message: NodeProto | AttributeProto | GraphProto): void {
  const fields = message.$unknown ?? []
  form.u32(fields.length)
  for (const { no, wireType, data } of fields) {
    form.u32(no)
    form.u8(wireType)
    form.sized(data)
  }
}

class CanonicalForm {
  readonly #hash = createHash('sha256')

  u8(value: number): void {
    this.#hash.update(Uint8Array.of(value))
  }

  u32(value: number): void {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value >>> 0)
    this.#hash.update(bytes)
  }

  i64(value: bigint): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(value)
    this.#hash.update(bytes)
  }

  f32(value: number): void {
    const bytes = Buffer.alloc(4)
    if (Number.isNaN(value)) bytes.writeUInt32LE(0x7fc00000)
    else bytes.writeFloatLE(value)
    this.#hash.update(bytes)
  }

  bytes(value: Uint8Array): void {
    this.#hash.update(value)
  }

  sized(value: Uint8Array): void {
    this.u32(value.byteLength)
    this.bytes(value)
  }

  ascii(value: string): void {
    this.#hash.update(value, 'latin1')
  }

  text(value: string): void {
    this.sized(Buffer.from(value, 'utf8'))
  }

  digest(): Uint8Array {
    return this.#hash.digest()
  }
}

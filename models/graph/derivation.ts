/** From the graphs of a model to the blocks of its plan. */
import {
  type Block,
  createPlan,
  type IfStep,
  type LoopStep,
  type OperatorStep,
  type Plan,
  PlanError,
  type Source,
  type Step,
} from '../plan/index.ts'
import { DTYPES } from '../tensor/index.ts'
import { canonicalValue, digestValue, type Value } from '../trace/index.ts'
import { constantNodeValue, type ExternalData, tensorValue } from './constant.ts'
import { dtypeOfElement } from './element-type.ts'
import { GraphError } from './errors.ts'
import type { GraphProto, NodeProto, ValueInfoProto } from './generated/onnx_pb.js'
import type { OnnxModel } from './model.ts'
import { capturesOf, definitionsOf } from './names.ts'
import {
  domainOf,
  isControlFlow,
  type OperatorContext,
  operatorDigest,
  withoutTrailing,
} from './operator-digest.ts'
import { refuseNode } from './operator-verification.ts'
import { executionOrder } from './order.ts'

export interface Derived {
  readonly plan: Plan
  /** The model's constants by the lowercase hex of their digest. */
  readonly constants: ReadonlyMap<string, Value>
  /** The node that each step executes. */
  readonly nodes: ReadonlyMap<Step, NodeProto>
}

/** Throws GraphError `corrupt-model` or `unsupported-operator`. */
export function derivePlan(model: OnnxModel, context: OperatorContext): Derived {
  const constants = new Map<string, Value>()
  const nodes = new Map<Step, NodeProto>()
  const scopes: Scope[] = [openScope(model.graph, undefined, 'main', context.external, constants)]
  const blocks: Block[] = []
  // Branches and bodies that a block's steps name are appended while it is read: a queue.
  for (let index = 0; index < scopes.length; index++) {
    const scope = scopes[index]!
    const steps = scope.order.map((at) => {
      const node = scope.graph.node[at]!
      const enter = (graph: GraphProto, role: Role): number =>
        scopes.push(openScope(graph, scope, role, context.external, constants)) - 1
      const step = stepOf(node, scope, context, enter)
      nodes.set(step, node)
      return step
    })
    blocks.push({ steps, outputs: index === 0 ? [] : scope.outputs.map((name) => resolve(name, scope)) })
  }
  const [main] = scopes
  const inputs = model.graph.input
    .map(({ name }) => name)
    .filter((name) => main!.values.get(name)?.kind === 'input')
  const outputs = model.graph.output.map(({ name }) => ({ name, source: resolve(name, main!) }))
  return { plan: seal({ inputs, outputs, blocks }), constants, nodes }
}

function seal(parts: Omit<Plan, 'root'>): Plan {
  try {
    return createPlan(parts)
  } catch (cause) {
    if (!(cause instanceof PlanError)) throw cause
    throw new GraphError(
      cause.code === 'too-large' ? 'unsupported-operator' : 'corrupt-model',
      `no plan can be made of this model: ${cause.message}`,
      { cause },
    )
  }
}

/** A graph under derivation, with what its names stand for. */
interface Scope {
  readonly graph: GraphProto
  readonly outer: Scope | undefined
  /** Seen from the scope itself. */
  readonly values: ReadonlyMap<string, Source>
  /** The nodes that become steps, in the order of execution. */
  readonly order: readonly number[]
  /** Of the graph's outputs, those that the step around it takes. */
  readonly outputs: readonly string[]
}

/** What a graph is to the step that holds it. */
type Role = 'main' | 'body' | { readonly branchOutputs: number }

function openScope(
  graph: GraphProto,
  outer: Scope | undefined,
  role: Role,
  external: ExternalData,
  constants: Map<string, Value>,
): Scope {
  const keep = (value: Value): Source => {
    const canonical = canonicalValue(value)
    const digest = digestValue(canonical)
    constants.set(Buffer.from(digest).toString('hex'), canonical)
    return { kind: 'constant', digest }
  }
  const definitions = definitionsOf(graph, { inputsMayHaveDefaults: role === 'main' })
  const isConstant = (at: number): boolean => {
    const node = graph.node[at]!
    return domainOf(node) === '' && node.opType === 'Constant'
  }
  const order = executionOrder(graph, definitions).filter((at) => !isConstant(at))
  const stepOfNode = new Map(order.map((at, step) => [at, step]))
  const values = new Map<string, Source>()
  let input = 0
  for (const [name, definition] of definitions) {
    switch (definition.kind) {
      case 'input':
        if (role === 'main') values.set(name, { kind: 'input', index: input++ })
        else values.set(name, { kind: 'carried', up: 0, index: definition.index })
        break
      case 'initializer':
        values.set(name, keep(tensorValue(graph.initializer[definition.index]!, external)))
        break
      case 'node': {
        const step = stepOfNode.get(definition.node)
        const { output } = definition
        if (step !== undefined) values.set(name, { kind: 'step', up: 0, step, output })
        else values.set(name, keep(constantNodeValue(graph.node[definition.node]!, external)))
        break
      }
      default:
        definition satisfies never
    }
  }
  const names = graph.output.map(({ name }) => name)
  const outputs = typeof role === 'string' ? names : names.slice(0, role.branchOutputs)
  return { graph, outer, values, order, outputs }
}

/** Where the value of a name comes from, seen from `scope`. */
function resolve(name: string, scope: Scope): Source {
  if (name === '') return { kind: 'absent' }
  let up = 0
  for (let place: Scope | undefined = scope; place !== undefined; place = place.outer) {
    const source = place.values.get(name)
    if (source !== undefined) {
      return source.kind === 'step' || source.kind === 'carried' ? { ...source, up } : source
    }
    up++
  }
  throw new GraphError('corrupt-model', `not a usable ONNX model: nothing produces "${name}"`)
}

function stepOf(
  node: NodeProto,
  scope: Scope,
  context: OperatorContext,
  enter: (graph: GraphProto, role: Role) => number,
): Step {
  const domain = domainOf(node)
  const opset = context.opsetOf(domain)
  const operands = withoutTrailing(node.input).map((name) => resolve(name, scope))
  const outputs = withoutTrailing(node.output).map((name) => name !== '')
  const digest = operatorDigest(node, context)
  const base = { domain, type: node.opType, opset, digest, operands, outputs }
  if (!isControlFlow(node)) {
    const captures = capturesOf(node).map((name) => resolve(name, scope))
    return { kind: 'operator', ...base, operands: [...operands, ...captures] } satisfies OperatorStep
  }
  return node.opType === 'If' ? ifStep(node, base, enter) : loopStep(node, base, enter)
}

type Base = Omit<OperatorStep, 'kind'>
type Enter = (graph: GraphProto, role: Role) => number

function ifStep(node: NodeProto, base: Base, enter: Enter): IfStep {
  const branches = ['then_branch', 'else_branch'].map((name) => {
    const graph = graphAttribute(node, name)
    if (graph.input.length > 0) refuseNode(node, base, `its ${name} has inputs`)
    if (graph.output.length < base.outputs.length) refuseNode(node, base, `its ${name} has too few outputs`)
    return graph
  })
  if (base.operands.length !== 1 || base.operands[0]?.kind === 'absent')
    refuseNode(node, base, 'it has no condition')
  const role = { branchOutputs: base.outputs.length }
  const thenBlock = enter(branches[0]!, role)
  const elseBlock = enter(branches[1]!, role)
  return { kind: 'if', ...base, thenBlock, elseBlock }
}

function loopStep(node: NodeProto, base: Base, enter: Enter): LoopStep {
  const body = graphAttribute(node, 'body')
  // Trip count and condition have their places even where nothing follows them.
  const operands = [...base.operands]
  while (operands.length < 2) operands.push({ kind: 'absent' })
  const carried = operands.length - 2
  if (body.input.length !== 2 + carried)
    refuseNode(node, base, 'its body takes other values than it is given')
  if (operands.slice(2).some(({ kind }) => kind === 'absent'))
    refuseNode(node, base, 'a carried value is left out')
  const scanOutputs = body.output.slice(1 + carried)
  if (body.output.length < 1 + carried || base.outputs.length > carried + scanOutputs.length) {
    refuseNode(node, base, 'its body gives too few outputs')
  }
  const scans = scanOutputs.map((value) => {
    const form = formOf(value)
    if (form.dtype === undefined) {
      return refuseNode(node, base, `its body does not state the element type of "${value.name}"`)
    }
    return { dtype: DTYPES.indexOf(form.dtype) + 1, dims: form.dims ?? [] }
  })
  const [iteration, condition] = body.input.map(formOf)
  const rankOf = (dims: readonly number[] | undefined): 0 | 1 => {
    const rank = dims?.length ?? 0
    if (rank > 1) refuseNode(node, base, 'its body takes an iteration number or condition that is no scalar')
    return rank as 0 | 1
  }
  const [iterationRank, conditionRank] = [rankOf(iteration?.dims), rankOf(condition?.dims)]
  return {
    kind: 'loop',
    ...base,
    operands,
    body: enter(body, 'body'),
    carried,
    iterationRank,
    conditionRank,
    scans,
  }
}

/** The element type and dimensions that a value is declared with; a dimension left open is 0. */
function formOf({ type }: ValueInfoProto) {
  const value = type?.value
  if (value?.case !== 'tensorType') return {}
  const { elemType, shape } = value.value
  const dims = shape?.dim.map(({ value: dim }) =>
    dim.case === 'dimValue' && dim.value > 0n ? Number(dim.value) : 0,
  )
  return { dtype: dtypeOfElement(elemType), dims }
}

function graphAttribute(node: NodeProto, name: string): GraphProto {
  const graph = node.attribute.find((attribute) => attribute.name === name)?.g
  if (graph === undefined) {
    throw new GraphError(
      'corrupt-model',
      `not a usable ONNX model: ${node.opType} "${node.name}" has no ${name}`,
    )
  }
  return graph
}

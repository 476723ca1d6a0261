/** Which names a graph gives values to, and which it takes from the graphs around it. */
import { GraphError } from './errors.ts'
import type { GraphProto, NodeProto } from './generated/onnx_pb.js'

/** What a name stands for within the graph that defines it. */
export type Definition =
  | { readonly kind: 'input'; readonly index: number }
  | { readonly kind: 'initializer'; readonly index: number }
  | { readonly kind: 'node'; readonly node: number; readonly output: number }

/**
 * The names that a graph defines itself, in the order inputs, initializers, outputs of nodes; a name of an outer graph is
 * hidden by them. An input with an initializer is that initializer where `inputsMayHaveDefaults`. Throws `corrupt-model`
 * where a name is defined twice, and `unsupported-operator` for sparse initializers.
 */
export function definitionsOf(
  graph: GraphProto,
  { inputsMayHaveDefaults = false }: { inputsMayHaveDefaults?: boolean } = {},
): ReadonlyMap<string, Definition> {
  const definitions = new Map<string, Definition>()
  const define = (name: string, definition: Definition): void => {
    if (definitions.has(name)) corrupt(`the value "${name}" is defined twice in the graph "${graph.name}"`)
    definitions.set(name, definition)
  }
  for (const sparse of graph.sparseInitializer) {
    throw new GraphError(
      'unsupported-operator',
      `the initializer "${sparse.values?.name ?? ''}" is a sparse tensor, which the exact lane does not know`,
    )
  }
  for (const [index, { name }] of graph.input.entries()) {
    if (name === '') corrupt(`an input of the graph "${graph.name}" has no name`)
    define(name, { kind: 'input', index })
  }
  for (const [index, { name }] of graph.initializer.entries()) {
    if (name === '') corrupt(`an initializer of the graph "${graph.name}" has no name`)
    if (inputsMayHaveDefaults && definitions.get(name)?.kind === 'input') definitions.delete(name)
    define(name, { kind: 'initializer', index })
  }
  for (const [node, { output }] of graph.node.entries()) {
    for (const [at, name] of output.entries())
      if (name !== '') define(name, { kind: 'node', node, output: at })
  }
  return definitions
}

/** The graphs in a node's attributes, in the order of their attributes' names. */
export function subgraphsOf(node: NodeProto): readonly GraphProto[] {
  if (!node.attribute.some(({ g, graphs }) => g !== undefined || graphs.length > 0)) return []
  const attributes = node.attribute.toSorted((a, b) => compareNames(a.name, b.name))
  return attributes.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]))
}

/** By UTF-16 code unit, which no locale changes. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * The names that a node's subgraphs take from the graphs around it, each once, in the order in which they are first named:
 * graph after graph, in each node after node, of a node its operands first and then its own subgraphs, at last the graph's
 * outputs.
 */
export function capturesOf(node: NodeProto): readonly string[] {
  const found = new Set<string>()
  for (const graph of subgraphsOf(node)) collectCaptures(graph, found)
  return [...found]
}

function collectCaptures(graph: GraphProto, found: Set<string>): void {
  const own = definitionsOf(graph)
  const add = (name: string): void => {
    if (name !== '' && !own.has(name)) found.add(name)
  }
  for (const node of graph.node) {
    for (const name of node.input) add(name)
    for (const name of capturesOf(node)) add(name)
  }
  for (const { name } of graph.output) add(name)
}

function corrupt(why: string): never {
  throw new GraphError('corrupt-model', `not a usable ONNX model: ${why}`)
}

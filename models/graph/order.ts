import { GraphError } from './errors.ts'
import type { GraphProto } from './generated/onnx_pb.js'
import { capturesOf, type Definition } from './names.ts'

/**
 * The nodes of a graph by index, in the one order in which they are executed: of those whose operands (and whose subgraphs'
 * captures) are there, always the one that stands first in the file. A graph that is sorted keeps its order. Throws
 * `corrupt-model` where nodes wait for each other.
 */
export function executionOrder(
  graph: GraphProto,
  definitions: ReadonlyMap<string, Definition>,
): readonly number[] {
  const waiting: number[] = []
  const readers: number[][] = graph.node.map(() => [])
  for (const [index, node] of graph.node.entries()) {
    const needed = new Set<number>()
    for (const name of [...node.input, ...capturesOf(node)]) {
      const definition = definitions.get(name)
      if (definition?.kind === 'node') needed.add(definition.node)
    }
    waiting.push(needed.size)
    for (const other of needed) readers[other]!.push(index)
  }
  const ready = new Ready()
  for (const [index, count] of waiting.entries()) if (count === 0) ready.add(index)
  const order: number[] = []
  for (let index = ready.take(); index !== undefined; index = ready.take()) {
    order.push(index)
    for (const reader of readers[index]!) {
      waiting[reader]!--
      if (waiting[reader] === 0) ready.add(reader)
    }
  }
  if (order.length < graph.node.length) {
    const node = graph.node[waiting.findIndex((count) => count > 0)]
    throw new GraphError(
      'corrupt-model',
      `not a usable ONNX model: node "${node?.name}" (${node?.opType}) waits for its own output`,
    )
  }
  return order
}

/** A binary heap, smallest first: an adversary chooses the order. */
class Ready {
  readonly #heap: number[] = []

  add(value: number): void {
    const heap = this.#heap
    let at = heap.push(value) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]! <= value) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = value
  }

  take(): number | undefined {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++
      if (heap[child]! >= last) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return first
  }
}

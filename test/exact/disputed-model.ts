/** A small model with one of each thing that can be lied about. */
import type { Tensor } from '../../models/tensor/index.ts'
import { buildModel, type OnnxGraph, type OnnxNode } from '../fixtures/onnx-builder.ts'
import type { ModelFiles } from './models/index.ts'
import { constant, node, sample, value, values } from './models/model.ts'

/**
 * In the file the nodes stand in another order; the plan has them so:
 *
 *     0 Sigmoid    outer = of x
 *     1 ReduceSum  sum = of outer
 *     2 Greater    isLarge = sum > 2
 *     3 If         a k = isLarge ? [then] 0 Add outer + outer, a constant : [else] 0 Neg, 1 Exp of -outer, another one
 *     4 Add        trips = n + 1
 *     5 Loop       h each number, at most trips times and as long as the sum of h stays below 7.45: from h = a
 *                  0 Mul m = h * half; 1 Add h = m + k; 2 ReduceSum; 3 Less; 4 Cast the iteration's number; scans m and that
 *     6 Loop       g, as long as its sum stays above 2, without a trip count: from g = h
 *                  0 Mul g = g * half; 1 ReduceSum; 2 Greater
 *     7 Sub        lower = x - 1, some of it below zero
 *     8 Sqrt       root = of that, some of it not a number
 *     9 Slice      none = nothing of x
 *    10 Exp        still = of nothing
 *    11 Concat     y = root, still, g, h
 */
export function disputedModel(changes: Changes = {}): ModelFiles {
  return {
    model: buildModel(graph({ half: 0.5, first: 'Sigmoid', ...changes }), { opset: 13 }),
    files: new Map(),
  }
}

/** What makes another model of it. */
export interface Changes {
  /** A weight. */
  readonly half?: number
  /** The operator of step 0. */
  readonly first?: string
}

/**
 * With these the If takes its first branch, the first Loop runs three times and ends by its trip count, and the second two.
 * With a large `n` the first ends by its condition, after four.
 */
export function disputedInputs({
  x = [-1, 0.5, 2, 1.5, 3],
  n = 2,
  go = true,
}: {
  readonly x?: readonly number[]
  readonly n?: number
  readonly go?: boolean
} = {}): readonly Tensor[] {
  return [
    sample('x', 'float32', [x.length], x),
    sample('n', 'int64', [], [n]),
    sample('go', 'bool', [], [go ? 1 : 0]),
  ]
}

function graph({ half, first: operator }: Required<Changes>): OnnxGraph {
  const reduce = (from: string, to: string): OnnxNode =>
    node('ReduceSum', from, to, { integers: { keepdims: 0 } })
  const thenBranch: OnnxGraph = {
    name: 'then',
    inputs: [],
    outputs: [value('t', 'float32'), value('few', 'float32')],
    nodes: [node('Add', 'outer outer', 't')],
    initializers: [constant('few', [1], [0.75])],
  }
  const elseBranch: OnnxGraph = {
    name: 'else',
    inputs: [],
    outputs: [value('e', 'float32'), value('many', 'float32')],
    nodes: [node('Neg', 'outer', 'minus'), node('Exp', 'minus', 'e')],
    initializers: [constant('many', [1], [0.25])],
  }
  const turn = [value('turn', 'int64', []), value('on', 'bool', [])]
  const first: OnnxGraph = {
    name: 'first',
    inputs: [...turn, value('was', 'float32', ['n'])],
    outputs: [
      value('below', 'bool', []),
      value('next', 'float32', ['n']),
      value('m', 'float32', ['n']),
      value('count', 'float32', []),
    ],
    nodes: [
      node('Mul', 'was half', 'm'),
      node('Add', 'm k', 'next'),
      reduce('next', 's'),
      node('Less', 's most', 'below'),
      node('Cast', 'turn', 'count', { integers: { to: 1 } }),
    ],
    initializers: [constant('most', [], [7.45])],
  }
  const second: OnnxGraph = {
    name: 'second',
    inputs: [...turn, value('was', 'float32', ['n'])],
    outputs: [value('above', 'bool', []), value('next', 'float32', ['n'])],
    nodes: [node('Mul', 'was half', 'next'), reduce('next', 's'), node('Greater', 's least', 'above')],
    initializers: [constant('least', [], [2])],
  }
  return {
    inputs: [value('x', 'float32', ['n']), value('n', 'int64', []), value('go', 'bool', [])],
    outputs: values('y:1 each:2 number:1'),
    nodes: [
      node('Concat', 'root still g h', 'y', { integers: { axis: 0 } }),
      node(operator, 'x', 'outer'),
      reduce('outer', 'sum'),
      node('Greater', 'sum bound', 'isLarge'),
      node('If', 'isLarge', 'a k', { graphs: { then_branch: thenBranch, else_branch: elseBranch } }),
      node('Add', 'n one', 'trips'),
      node('Loop', 'trips go a', 'h each number', { graphs: { body: first } }),
      node('Loop', '- isLarge h', 'g', { graphs: { body: second } }),
      node('Sub', 'x shift', 'lower'),
      node('Sqrt', 'lower', 'root'),
      node('Slice', 'x nought nought nought', 'none'),
      node('Exp', 'none', 'still'),
    ],
    initializers: [
      constant('bound', [], [2]),
      constant('one', [], [1], 'int64'),
      constant('half', [], [half]),
      constant('shift', [], [1]),
      constant('nought', [1], [0], 'int64'),
    ],
  }
}

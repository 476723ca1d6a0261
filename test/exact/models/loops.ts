/** Every way in which an ONNX Loop begins, goes on, carries and ends. */
import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../../fixtures/onnx-builder.ts'
import { constant, graphModel, node, sample, type TestModel, value, values } from './model.ts'

const X = value('x', 'float32', ['n'])
const TRIPS = value('trips', 'int64', [])
const GO = value('go', 'bool', [])

/** A body of `turn, on, h ...`; its condition is `on` unless `condition` makes another. */
interface Body {
  readonly carried?: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  readonly nodes: readonly OnnxNode[]
  readonly initializers?: readonly OnnxTensor[]
  /** Shape of iteration number and condition. */
  readonly rank?: 0 | 1
  readonly condition?: string
}

/** A model with one Loop: `inputs` are trip count and condition, `-` where left out; `outputs` as of `values`. */
function loop(inputs: string, outputs: string, body: Body): OnnxGraph {
  const given = values(outputs)
  const names = given.map(({ name }) => name)
  return {
    inputs: [X, TRIPS, GO],
    outputs: given,
    nodes: [
      node('Sigmoid', 'x', 'outer'),
      node('Loop', `${inputs} outer`, names, { graphs: { body: bodyGraph(body) } }),
    ],
  }
}

function bodyGraph(body: Body): OnnxGraph {
  const { carried = [value('h', 'float32', ['n'])], outputs, nodes, initializers = [] } = body
  const dims = body.rank === 1 ? [1] : []
  return {
    name: 'body',
    inputs: [value('turn', 'int64', dims), value('on', 'bool', dims), ...carried],
    outputs: [value(body.condition ?? 'on2', 'bool', dims), ...outputs],
    nodes: body.condition === undefined ? [node('Identity', 'on', 'on2'), ...nodes] : nodes,
    initializers,
  }
}

const NEXT = value('h2', 'float32', ['n'])
/** Drifts towards 1.25, so that a condition on its size stops after a number of turns that depends on the input. */
const STEP = [node('Mul', 'h half', 'm'), node('Add', 'm most', 'h2')]
const WEIGHTS = [constant('half', [], [0.5]), constant('most', [], [0.625])]
/** `on2`: whether the sum of the new value is still below a bound. */
const BELOW = [node('ReduceSum', 'h2', 's', { integers: { keepdims: 0 } }), node('Less', 's bound', 'below')]
const BOUND = constant('bound', [], [8.5])

const STEADY: Body = { outputs: [NEXT], nodes: STEP, initializers: WEIGHTS }
const STOPPING: Body = {
  outputs: [NEXT],
  nodes: [...STEP, ...BELOW],
  initializers: [...WEIGHTS, BOUND],
  condition: 'below',
}
/** Gives what is carried, and each turn's value and number beside it. */
const SCANNING: Body = {
  outputs: [NEXT, value('each', 'float32', ['n']), value('number', 'float32', [])],
  nodes: [...STEP, node('Identity', 'h2', 'each'), node('Cast', 'turn', 'number', { integers: { to: 1 } })],
  initializers: WEIGHTS,
}

function loopModel(
  name: string,
  graph: () => OnnxGraph,
  trips: number | ((seed: number) => number),
  go: boolean | ((seed: number) => boolean),
  options: { leavesMin?: number; rank?: 0 | 1; native?: TestModel['native'] } = {},
): TestModel {
  return graphModel(
    name,
    graph,
    (random, seed) => [
      sample('x', 'float32', [7], random.floats(7, 3)),
      sample('trips', 'int64', options.rank === 1 ? [1] : [], [
        typeof trips === 'number' ? trips : trips(seed),
      ]),
      sample('go', 'bool', options.rank === 1 ? [1] : [], [
        (typeof go === 'boolean' ? go : go(seed)) ? 1 : 0,
      ]),
    ],
    { opset: 13, ...options },
  )
}

export const LOOP_MODELS: readonly TestModel[] = [
  loopModel('loop-trips', () => loop('trips -', 'y:1', STEADY), 5, true, { leavesMin: 1 + 5 * 4 + 2 }),
  loopModel('loop-condition', () => loop('- go', 'y:1', STOPPING), 0, true, { leavesMin: 8 }),
  loopModel(
    'loop-both',
    () => loop('trips go', 'y:1', STOPPING),
    (seed) => (seed % 2 === 0 ? 2 : 50),
    true,
  ),
  loopModel('loop-neither', () => loop('- -', 'y:1', STOPPING), 0, true, { leavesMin: 8 }),
  loopModel(
    'loop-scan',
    () => loop('trips go', 'y:1 z:2 w:1', SCANNING),
    (seed) => 3 + (seed % 3),
    true,
  ),
  loopModel('loop-no-trip', () => loop('trips go', 'y:1 z:2 w:1', SCANNING), 0, true, { leavesMin: 3 }),
  loopModel('loop-negative-trips', () => loop('trips go', 'y:1 z:2 w:1', SCANNING), -3, true, {
    leavesMin: 3,
  }),
  loopModel('loop-never-on', () => loop('trips go', 'y:1 z:2 w:1', SCANNING), 4, false, { leavesMin: 3 }),
  loopModel('loop-no-carried', noCarried, 4, true),
  loopModel('loop-lists-of-one', listsOfOne, 6, true, { rank: 1 }),
  loopModel('loop-swaps', swapping, 5, true),
  // onnxruntime counts in one place: every element of that scan output becomes the last iteration's number.
  loopModel('loop-passes-through', passingThrough, 3, true, { native: 'broken' }),
  loopModel('loop-grows', growing, 4, true),
  loopModel('loop-gives-a-constant', givingConstant, 3, true),
  loopModel('loop-gives-outer', givingOuter, 3, true, { native: 'refused' }),
  loopModel('loop-left-out', leavingOut, 3, true, { native: 'refused' }),
  loopModel('loop-nested', () => nested('quarter'), 3, true, { leavesMin: 40 }),
  loopModel('loop-shadows', () => nested('half'), 3, true, { leavesMin: 40 }),
  // Leaves in number: what a long trace costs, and where an iteration has more than one digit.
  loopModel('loop-long', () => loop('trips -', 'y:1', STEADY), 400, true, { leavesMin: 1600 }),
  loopModel('loop-long-scan', () => loop('trips -', 'y:1 z:2 w:1', SCANNING), 250, true, { leavesMin: 1250 }),
]

/** Trip count, conditions and iteration number as lists of one. */
function listsOfOne(): OnnxGraph {
  const body: Body = {
    ...STOPPING,
    rank: 1,
    nodes: [...STEP, node('ReduceSum', 'h2 axis', 's'), node('Less', 's bound', 'below')],
    initializers: [...WEIGHTS, BOUND, constant('axis', [1], [0], 'int64')],
  }
  const graph = loop('trips go', 'y:1', body)
  return { ...graph, inputs: [X, value('trips', 'int64', [1]), value('go', 'bool', [1])] }
}

function noCarried(): OnnxGraph {
  const body = bodyGraph({
    carried: [],
    outputs: [value('each', 'float32', ['n'])],
    nodes: [node('Cast', 'turn', 't', { integers: { to: 1 } }), node('Mul', 'outer t', 'each')],
  })
  return {
    inputs: [X, TRIPS, GO],
    outputs: values('y:2'),
    nodes: [node('Sigmoid', 'x', 'outer'), node('Loop', 'trips go', 'y', { graphs: { body } })],
  }
}

/** Two carried values change places, without a step of their own between them. */
function swapping(): OnnxGraph {
  const body = bodyGraph({
    carried: [value('a', 'float32', ['n']), value('b', 'float32', ['n'])],
    outputs: [value('b', 'float32', ['n']), value('c', 'float32', ['n'])],
    nodes: [node('Sub', 'a outer', 'c')],
  })
  return {
    inputs: [X, TRIPS, GO],
    outputs: values('y:1 z:1'),
    nodes: [node('Sigmoid', 'x', 'outer'), node('Loop', 'trips go outer x', 'y z', { graphs: { body } })],
  }
}

/** The body gives back what it was given: carried value, condition and iteration number. */
function passingThrough(): OnnxGraph {
  const body: OnnxGraph = {
    name: 'body',
    inputs: [value('turn', 'int64', []), value('on', 'bool', []), value('h', 'float32', ['n'])],
    outputs: [value('on', 'bool', []), value('h', 'float32', ['n']), value('turn', 'int64', [])],
    nodes: [],
  }
  return {
    inputs: [X, TRIPS, GO],
    outputs: values('y:1 z:1:int64'),
    nodes: [node('Sigmoid', 'x', 'outer'), node('Loop', 'trips go outer', 'y z', { graphs: { body } })],
  }
}

/** A carried value whose shape changes with each turn. */
function growing(): OnnxGraph {
  return loop('trips go', 'y:1', {
    carried: [value('h', 'float32', ['m'])],
    outputs: [value('h2', 'float32', ['k'])],
    nodes: [node('Concat', 'h outer', 'h2', { integers: { axis: 0 } })],
  })
}

/** A carried value and a scan output that are initializers of the body. */
function givingConstant(): OnnxGraph {
  return loop('trips go', 'y:1 z:3', {
    outputs: [value('fixed', 'float32', [2]), value('other', 'float32', [1, 3])],
    nodes: [],
    initializers: [constant('fixed', [2], [4, -0.5]), constant('other', [1, 3], [1, 2, 3])],
    carried: [value('h', 'float32', ['m'])],
  })
}

function givingOuter(): OnnxGraph {
  return loop('trips go', 'y:1 z:2', { ...STEADY, outputs: [NEXT, value('outer', 'float32', ['n'])] })
}

/** Outputs that nobody wants. */
function leavingOut(): OnnxGraph {
  const graph = loop('trips go', 'y:1 z:2 w:1', SCANNING)
  const [first, second] = graph.nodes
  return {
    ...graph,
    outputs: values('w:1'),
    nodes: [first!, { ...second!, outputs: ['', '', 'w'] }],
  }
}

/** A Loop in an If in a Loop; the innermost captures from every block around it. `factor` is a name of its own, or one of an outer block's. */
function nested(factor: string): OnnxGraph {
  const inner: OnnxGraph = {
    name: 'inner',
    inputs: [value('turn1', 'int64', []), value('on1', 'bool', []), value('k', 'float32', ['n'])],
    outputs: [value('still', 'bool', []), value('k2', 'float32', ['n']), value('part', 'float32', ['n'])],
    nodes: [
      node('Identity', 'on1', 'still'),
      node('Mul', 'k outer', 'a'),
      node('Add', 'a h', 'b'),
      node('Mul', `b ${factor}`, 'k2'),
      node('Sub', 'k2 inThen', 'part'),
    ],
    initializers: [constant(factor, [], [0.25])],
  }
  const thenBranch: OnnxGraph = {
    name: 'then',
    inputs: [],
    outputs: [value('t', 'float32')],
    nodes: [
      node('Neg', 'h', 'inThen'),
      node('Cast', 'turn', 'number', { integers: { to: 7 } }),
      node('Add', 'number one', 'count'),
      node('Loop', 'count - h', 'last parts', { graphs: { body: inner } }),
      node('ReduceSum', 'parts axis', 'sum', { integers: { keepdims: 0 } }),
      node('Add', 'last sum', 't'),
    ],
    initializers: [constant('one', [], [1], 'int64'), constant('axis', [1], [0], 'int64')],
  }
  const elseBranch: OnnxGraph = {
    name: 'else',
    inputs: [],
    outputs: [value('e', 'float32')],
    nodes: [node('Add', 'h half', 'e')],
  }
  const body = bodyGraph({
    outputs: [NEXT],
    nodes: [
      node('Cast', 'turn', 'small', { integers: { to: 6 } }),
      node('Mod', 'small two', 'odd'),
      node('Cast', 'odd', 'isOdd', { integers: { to: 9 } }),
      node('Not', 'isOdd', 'isEven'),
      node('If', 'isEven', 'h2', { graphs: { then_branch: thenBranch, else_branch: elseBranch } }),
    ],
    initializers: [constant('two', [], [2], 'int32'), constant('half', [], [0.5])],
  })
  return {
    inputs: [X, TRIPS, GO],
    outputs: values('y:1'),
    nodes: [node('Sigmoid', 'x', 'outer'), node('Loop', 'trips go outer', 'y', { graphs: { body } })],
  }
}

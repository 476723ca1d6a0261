/** If in its forms, and Scan, which is executed whole. */
import type { OnnxGraph, OnnxValue } from '../../fixtures/onnx-builder.ts'
import { constant, graphModel, node, sample, type TestModel, value, values } from './model.ts'

const X = value('x', 'float32', ['n'])
const CONDITION = value('c', 'bool', [])

function branching(thenBranch: OnnxGraph, elseBranch: OnnxGraph, outputs = 'y:1'): OnnxGraph {
  const given = values(outputs)
  const names = given.map(({ name }) => name)
  return {
    inputs: [X, CONDITION],
    outputs: given,
    nodes: [
      node('Tanh', 'x', 'outer'),
      node('If', 'c', names, { graphs: { then_branch: thenBranch, else_branch: elseBranch } }),
    ],
  }
}

function branch(
  name: string,
  outputs: readonly string[],
  nodes: OnnxGraph['nodes'],
  initializers: OnnxGraph['initializers'] = [],
): OnnxGraph {
  return { name, inputs: [], outputs: outputs.map((one) => value(one, 'float32')), nodes, initializers }
}

/** Seeds that are odd take the first branch. */
function ifModel(
  name: string,
  graph: () => OnnxGraph,
  options: { native?: TestModel['native']; condition?: readonly number[] } = {},
): TestModel {
  const { condition = [], native } = options
  return graphModel(
    name,
    graph,
    (random, seed) => [
      sample('x', 'float32', [5], random.floats(5, 2)),
      sample('c', 'bool', condition, [seed % 2]),
    ],
    { opset: 16, leavesMin: 3, ...(native && { native }) },
  )
}

const DOUBLED = branch('then', ['t'], [node('Add', 'outer outer', 't')])
const NEGATED = branch('else', ['e'], [node('Neg', 'outer', 'm'), node('Exp', 'm', 'e')])

export const BRANCH_MODELS: readonly TestModel[] = [
  ifModel('if', () => branching(DOUBLED, NEGATED)),
  ifModel(
    'if-list-of-one',
    () => ({ ...branching(DOUBLED, NEGATED), inputs: [X, value('c', 'bool', [1])] }),
    { condition: [1] },
  ),
  ifModel('if-gives-outer', () => branching(branch('then', ['outer'], []), NEGATED), { native: 'refused' }),
  ifModel('if-gives-constant', () =>
    branching(branch('then', ['k'], [], [constant('k', [2, 2], [1, 2, 3, 4])]), NEGATED),
  ),
  ifModel('if-gives-constant-node', () =>
    branching(
      branch('then', ['k'], [node('Constant', [], 'k', { floats: { value_floats: [1, 2, 3] } })]),
      NEGATED,
    ),
  ),
  // onnxruntime-node crashes at it.
  ifModel(
    'if-gives-twice',
    () => branching(branch('then', ['t', 't'], [node('Add', 'outer x', 't')]), TWO, 'y:1 z:1'),
    { native: 'broken' },
  ),
  ifModel('if-in-if', ifInIf),
  ifModel('if-unused-output', unusedOutput, { native: 'refused' }),
  ifModel('if-captures-main-constant', () => ({
    ...branching(branch('then', ['t'], [node('Add', 'outer shared', 't')]), NEGATED),
    initializers: [constant('shared', [1], [0.75])],
  })),
  ifModel('if-constant-condition', () => ({
    inputs: [X, CONDITION],
    outputs: values('y:1 d:0:bool'),
    nodes: [
      node('Tanh', 'x', 'outer'),
      node('Not', 'c', 'd'),
      node('If', 'yes', 'y', { graphs: { then_branch: DOUBLED, else_branch: NEGATED } }),
    ],
    initializers: [constant('yes', [], [1], 'bool')],
  })),
  graphModel(
    'scan',
    scan,
    (random) => [
      sample('x', 'float32', [6, 3], random.floats(18)),
      sample('h', 'float32', [3], random.floats(3)),
    ],
    { opset: 11, leavesMin: 2 },
  ),
]

const TWO = branch('else', ['e', 'f'], [node('Neg', 'outer', 'e'), node('Exp', 'outer', 'f')])

function unusedOutput(): OnnxGraph {
  const first = branch('then', ['t', 'u'], [node('Add', 'outer x', 't'), node('Sub', 'outer x', 'u')])
  const graph = branching(first, TWO, 'y:1 z:1')
  const [before, one] = graph.nodes
  return { ...graph, outputs: values('z:1'), nodes: [before!, { ...one!, outputs: ['', 'z'] }] }
}

function ifInIf(): OnnxGraph {
  const innerThen = branch('innerThen', ['p'], [node('Mul', 'mid outer', 'p')])
  const innerElse = branch('innerElse', ['q'], [node('Div', 'mid outer', 'q')])
  const thenBranch = branch(
    'then',
    ['t'],
    [
      node('Exp', 'outer', 'mid'),
      node('ReduceMax', 'x', 'largest', { integers: { keepdims: 0 } }),
      node('Greater', 'largest bound', 'isLarge'),
      node('If', 'isLarge', 't', { graphs: { then_branch: innerThen, else_branch: innerElse } }),
    ],
    [constant('bound', [], [1.5])],
  )
  return branching(thenBranch, NEGATED)
}

/** Runs backwards over one input, captures an outer value, and gives a state and a sequence. */
function scan(): OnnxGraph {
  const list = (name: string): OnnxValue => value(name, 'float32', [3])
  const body: OnnxGraph = {
    name: 'body',
    inputs: [list('state'), list('one')],
    outputs: [list('next'), list('out')],
    nodes: [
      node('Mul', 'state gain', 'scaled'),
      node('Add', 'scaled one', 'sum'),
      node('Tanh', 'sum', 'next'),
      node('Identity', 'next', 'out'),
    ],
  }
  return {
    inputs: [value('x', 'float32', ['t', 3]), list('h')],
    outputs: [value('y', 'float32', [3]), value('z', 'float32', ['t', 3])],
    nodes: [
      node('Sigmoid', 'h', 'gain'),
      node('Scan', 'h x', 'y z', {
        integers: { num_scan_inputs: 1, scan_input_directions: [1] },
        graphs: { body },
      }),
    ],
  }
}

/** Lies in corners of the plan, on the real engine: where a digest alone does not tell a decision, and where nothing travels. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createInProcessExactRuntime } from '../../models/runtime/index.ts'
import { decodeTensors, encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import { encodeLeaf, flagValue, iterationValue } from '../../models/trace/index.ts'
import { assertPinned, type Scene, setScene } from '../exact/dispute.ts'
import { supplyEngine } from '../exact/lane.ts'
import { createLiar, type Lie, type Lies, type Testimony } from '../exact/liar.ts'
import { decides, given, lied, off } from '../exact/lies.ts'
import type { ModelFiles } from '../exact/models/index.ts'
import { constant, node, sample, value, values } from '../exact/models/model.ts'
import { buildModel, type OnnxGraph } from '../fixtures/onnx-builder.ts'

const supply = supplyEngine()

interface Corner {
  readonly scene: Scene
  lie(lies: Lies): Testimony
}

async function corner(graph: OnnxGraph, tensors: readonly Tensor[]): Promise<Corner> {
  const files: ModelFiles = { model: buildModel(graph, { opset: 13 }), files: new Map() }
  const inputs = encodeTensors(tensors)
  const scene = await setScene(createInProcessExactRuntime(files.model, { supplyEngine: supply }), inputs)
  const liar = createLiar(files, await supply())
  return { scene, lie: (lies) => liar.testify(inputs, lies) }
}

const X = value('x', 'float32', ['n'])
const x = sample('x', 'float32', [3], [1, -2, 3])
const branch = (name: string, operator: string): OnnxGraph => ({
  name,
  inputs: [],
  outputs: [value(name, 'float32')],
  nodes: [node(operator, 'x', name)],
})
const ON = value('on', 'bool', [])
const TURN = value('turn', 'int64', [])

/** Of a scalar 0 or 1, and of a list of one, the digests are known beforehand; of these a run must tell what they decide. */
const CONDITIONS: readonly (readonly [what: string, dims: readonly number[], byte: number])[] = [
  ['of rank two', [1, 1], 1],
  ['that is neither 0 nor 1', [], 2],
]
for (const [what, dims, byte] of CONDITIONS) {
  test(`a condition ${what} is no way to hide the wrong branch, nor another ending`, async () => {
    const body: OnnxGraph = {
      name: 'body',
      inputs: [TURN, ON, value('was', 'float32', ['n'])],
      outputs: [value('go', 'bool', dims), value('x2', 'float32', ['n'])],
      nodes: [node('Neg', 'was', 'x2'), node('Identity', 'c', 'go')],
    }
    const { scene, lie } = await corner(
      {
        inputs: [X, value('c', 'bool', dims), value('n', 'int64', [])],
        outputs: values('y:1 z:1'),
        nodes: [
          node('If', 'c', 'y', {
            graphs: { then_branch: branch('t', 'Neg'), else_branch: branch('e', 'Exp') },
          }),
          node('Loop', 'n c y', 'z', { graphs: { body } }),
        ],
      },
      [x, { name: 'c', dtype: 'bool', dims, data: Uint8Array.of(byte) }, sample('n', 'int64', [], [2])],
    )
    /** Ends the Loop, and says that its condition was false. */
    const ends: Lie = {
      outputs: ([, turn, , ...carried]) => [flagValue(false), turn, flagValue(false), ...carried],
    }
    for (const [lies, kind, position] of [
      [{ '0?': decides(false) }, 'execution', '0?'],
      [{ '0?': given(0, off) }, 'wiring', '0?'],
      [{ '1?1': decides(false) }, 'execution', '1?1'],
      [{ '1?1': ends }, 'execution', '1?1'],
      [{ '1?1': lied(2) }, 'shape', '1?1'],
      [{ '1?2': decides(true) }, 'execution', '1?2'],
    ] as const) {
      assertPinned(await scene.dispute(lie(lies), scene.honest), kind, position)
    }
  })
}

test('where trip count, condition and all operands are constants, a lie is proved without any that travel', async () => {
  const { scene, lie } = await corner(
    {
      inputs: [X],
      outputs: values('y:2 s:1'),
      nodes: [
        node('Add', 'two two', 'four'),
        node('Loop', 'three yes', 'y', {
          graphs: {
            body: {
              name: 'body',
              inputs: [TURN, ON],
              outputs: [value('go', 'bool', []), value('each', 'float32', ['n'])],
              nodes: [node('Mul', 'x four', 'each'), node('Identity', 'on', 'go')],
            },
          },
        }),
        node('If', 'yes', 's', {
          graphs: { then_branch: branch('t', 'Neg'), else_branch: branch('e', 'Exp') },
        }),
      ],
      initializers: [
        constant('two', [], [2]),
        constant('three', [], [3], 'int64'),
        constant('yes', [], [1], 'bool'),
      ],
    },
    [x],
  )
  for (const [lies, kind, position] of [
    [{ 0: lied() }, 'execution', '0'],
    [{ 0: given(1, off) }, 'wiring', '0'],
    [{ '1?0': decides(false) }, 'execution', '1?0'],
    [{ '1?2': decides(false) }, 'execution', '1?2'],
    [{ '1?3': decides(true) }, 'execution', '1?3'],
    [{ '1?1': given(0, () => iterationValue(1)) }, 'wiring', '1?1'],
    [{ '1?0': given(1, off) }, 'wiring', '1?0'],
    [{ '1!3': lied() }, 'execution', '1!3'],
    [{ '2?': decides(false) }, 'shape', '2?'],
    [{ '2?': given(0, off) }, 'wiring', '2?'],
  ] as const) {
    assertPinned(await scene.dispute(lie(lies), scene.honest), kind, position)
  }
})

test('a model without a step has an empty trace: a leaf in it is a lie, and so are other outputs', async () => {
  const { scene } = await corner(
    { inputs: [X], outputs: values('x:1 k:1'), nodes: [], initializers: [constant('k', [2], [4, 5])] },
    [x],
  )
  const { honest } = scene
  assert.equal(honest.leaves, [])
  const leaf = encodeLeaf({ position: '0', operator: new Uint8Array(32), operands: [], outputs: [] })
  assertPinned(await scene.dispute({ ...honest, leaves: [leaf] }, honest), 'shape', '0')
  for (const name of ['x', 'k']) {
    const outputs = encodeTensors(
      decodeTensors(honest.outputs).map((tensor) =>
        tensor.name === name ? { ...off(tensor), name } : tensor,
      ),
    )
    const { left, right } = await scene.dispute({ ...honest, outputs }, honest)
    assert.is(left.proof?.verdict.kind, 'wiring', name)
    assert.equal(right, { settlement: { status: 'clear' }, proof: undefined }, name)
  }
})

test.run()

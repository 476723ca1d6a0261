/** Lies about values, told on the real engine and computed on with: the real referee pins each to its leaf and proves it. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createInProcessExactRuntime, type ExactRuntime } from '../../models/runtime/index.ts'
import type { WasmEngine } from '../../models/runtime/wasm-engine.ts'
import { decodeTensors, encodeTensors } from '../../models/tensor/index.ts'
import {
  ABSENT,
  decodeLeaf,
  encodeLeaf,
  iterationValue,
  type Leaf,
  type Value,
} from '../../models/trace/index.ts'
import { assertPinned, type Outcome, type Scene, setScene } from '../exact/dispute.ts'
import { type Changes, disputedInputs, disputedModel } from '../exact/disputed-model.ts'
import { supplyEngine } from '../exact/lane.ts'
import { createLiar, type Lie, type Lies, type Testimony } from '../exact/liar.ts'
import { given, lied, madeAt, off, reshaped } from '../exact/lies.ts'
import { elementBytes } from '../fixtures/onnx-builder.ts'

type Kind = 'shape' | 'wiring' | 'execution'

const signal = new AbortController().signal
const MODEL = disputedModel()
const INPUTS = encodeTensors(disputedInputs())
const supply = supplyEngine()
let engine: WasmEngine
let runtime: ExactRuntime
let scene: Scene
test.before(async () => {
  engine = await supply()
  runtime = createInProcessExactRuntime(MODEL.model, { supplyEngine: supply })
  scene = await setScene(runtime, INPUTS)
})

function lie(lies: Lies, of: Changes = {}): Testimony {
  return createLiar(disputedModel(of), engine).testify(INPUTS, lies)
}

/** The trace that the real lane makes of another model, or of other inputs. */
async function traceOf(of: Changes, inputs = INPUTS): Promise<Testimony> {
  const other = createInProcessExactRuntime(disputedModel(of).model, { supplyEngine: supply })
  const { leaves, outputs } = await other.trace(inputs, signal)
  return { leaves, outputs, operands: (position) => other.operands(inputs, position, signal) }
}

const as = (dtype: Value['dtype'], elements: readonly number[], dims = [elements.length]): Value => ({
  dtype,
  dims,
  data: elementBytes(dtype, elements),
})
const bits = ({ dtype, dims, data }: Value, at: number, word: number): Value => {
  const words = new Uint32Array(data.slice().buffer)
  words[at] = word
  return { dtype, dims, data: new Uint8Array(words.buffer) }
}
const NAN = 0x7fc00000
const STRANGE_NAN = 0xffc00123
const EMPTY = as('float32', [])

const LIES: readonly (readonly [what: string, lies: Lies, kind: Kind, position: string])[] = [
  ['the first step', { 0: lied() }, 'execution', '0'],
  ['the last step', { 11: lied() }, 'execution', '11'],
  ['the sign of a zero', { 8: lied(0, (was) => bits(was, 2, 0x80000000)) }, 'execution', '8'],

  ['a shape: a scalar as a list of one', { 1: lied(0, reshaped(1)) }, 'execution', '1'],
  ['a shape: a trip count as a list of one', { 4: lied(0, reshaped(1)) }, 'execution', '4'],
  ['a shape: the last step', { 11: lied(0, reshaped(3, 5)) }, 'execution', '11'],
  ['a shape: more elements', { 10: lied(0, () => as('float32', [1, 2])) }, 'execution', '10'],
  ['a shape: an operand in another one', { 8: given(0, reshaped(5, 1)), 11: anything(15) }, 'wiring', '8'],

  [
    'an element type: the same bits',
    { 11: lied(0, ({ dims, data }) => ({ dtype: 'int32', dims, data })) },
    'execution',
    '11',
  ],
  [
    'an element type: the same numbers',
    { 11: lied(0, () => as('float64', new Array(15).fill(1))) },
    'execution',
    '11',
  ],
  [
    'an element type: in a Loop, in every iteration',
    Object.fromEntries([0, 1, 2].map((i) => [`5[${i}]/4`, lied(0, () => as('int32', [i], []))])),
    'execution',
    '5[0]/4',
  ],
  [
    'an element type: an operand',
    { 8: given(0, () => as('float64', [4, 4, 4, 4, 4])), 11: anything(15) },
    'wiring',
    '8',
  ],

  ['something in an empty tensor', { 9: lied(0, () => as('float32', [1])) }, 'execution', '9'],
  ['something made of an empty tensor', { 10: lied(0, () => as('float32', [1])) }, 'execution', '10'],
  ['an operand that is not empty', { 10: given(0, () => as('float32', [1])) }, 'wiring', '10'],
  ['an empty tensor in place of a full one', { 0: lied(0, () => EMPTY) }, 'execution', '0'],
  ['an empty tensor at the end', { 11: lied(0, () => EMPTY) }, 'execution', '11'],
  ['an empty tensor of another shape', { 10: lied(0, reshaped(0, 3)), 11: anything(15) }, 'execution', '10'],
  [
    'an empty tensor of another type',
    { 10: lied(0, () => as('float64', [])), 11: anything(15) },
    'execution',
    '10',
  ],

  ['a number in place of a NaN', { 8: lied(0, (was) => bits(was, 0, 0)) }, 'execution', '8'],
  ['a NaN in place of a number', { 8: lied(0, (was) => bits(was, 4, NAN)) }, 'execution', '8'],
  ['a NaN of another kind', { 8: lied(0, (was) => bits(was, 0, STRANGE_NAN)) }, 'execution', '8'],
  [
    'a NaN of another kind, passed on',
    { 11: lied(0, (was) => bits(was, 0, STRANGE_NAN)) },
    'execution',
    '11',
  ],
  [
    'an operand with a NaN of another kind',
    { 11: given(0, (was) => bits(was, 0, STRANGE_NAN)) },
    'wiring',
    '11',
  ],

  ['operands of another step', { 11: given(0, madeAt('7')) }, 'wiring', '11'],
  ['operands in each other’s place', { 11: { operands: ([a, b, g, h]) => [a, b, h, g] } }, 'wiring', '11'],
  ['an input as an operand', { 8: given(0, () => as('float32', [-1, 0.5, 2, 1.5, 3])) }, 'wiring', '8'],
  ['an operand that no step gave', { 8: given(0, off) }, 'wiring', '8'],
  ['a constant that is not the model’s', { 7: given(1, off) }, 'wiring', '7'],
  [
    'a constant of the model, but of another step',
    { 7: given(1, () => as('float32', [0.5], [])) },
    'wiring',
    '7',
  ],
  ['an input other than the receipt’s', { 0: given(0, off) }, 'wiring', '0'],
  ['an input other than the receipt’s, later', { 7: given(0, off) }, 'wiring', '7'],
  ['another input of the receipt', { '5?0': given(0, () => iterationValue(2)) }, 'wiring', '5?0'],
]

for (const [what, lies, kind, position] of LIES) {
  test(`on the real engine, a lie is pinned: ${what} (${kind})`, async () => {
    assertPinned(await scene.dispute(lie(lies), scene.honest), kind, position)
  })
}

/** Stands for a step that the engine does not run on what the liar says. */
function anything(elements: number): Lie {
  return { claims: () => [as('float32', new Array(elements).fill(1))] }
}

type Edit = (leaf: Leaf) => Leaf

const STRANGE = new Uint8Array(32).fill(9)
/** What no liar can run, but write down. */
const EDITS: readonly (readonly [what: string, position: string, edit: Edit])[] = [
  ['an operand is left out', '7', (leaf) => ({ ...leaf, operands: leaf.operands.with(1, ABSENT) })],
  [
    'an operand is there that is left out',
    '6?0',
    (leaf) => ({ ...leaf, operands: leaf.operands.with(0, STRANGE) }),
  ],
  ['a trip count is left out', '5?1', (leaf) => ({ ...leaf, operands: leaf.operands.with(0, ABSENT) })],
  ['an output is left out', '8', (leaf) => ({ ...leaf, outputs: [ABSENT] })],
  ['one operand more', '8', (leaf) => ({ ...leaf, operands: [...leaf.operands, STRANGE] })],
  ['one operand less', '11', (leaf) => ({ ...leaf, operands: leaf.operands.slice(1) })],
  ['one output more', '8', (leaf) => ({ ...leaf, outputs: [...leaf.outputs, STRANGE] })],
  ['no output', '11', (leaf) => ({ ...leaf, outputs: [] })],
  ['one scan less', '5!3', (leaf) => ({ ...leaf, operands: leaf.operands.slice(0, -1) })],
]

for (const [what, position, edit] of EDITS) {
  test(`on the real engine, a leaf of another form is pinned: ${what}`, async () => {
    const leaves = scene.honest.leaves.map(decodeLeaf)
    const at = leaves.findIndex((leaf) => leaf.position === position)
    const edited = { ...scene.honest, leaves: leaves.with(at, edit(leaves[at]!)).map(encodeLeaf) }
    assertPinned(await scene.dispute(edited, scene.honest), 'shape', position)
  })
}

test('bytes that are no leaf are pinned, wherever they stand', async () => {
  for (const at of [0, 5, scene.honest.leaves.length - 1]) {
    for (const bytes of [new Uint8Array(0), new Uint8Array(100), scene.honest.leaves[at]!.slice(0, -1)]) {
      const edited = { ...scene.honest, leaves: scene.honest.leaves.with(at, bytes) }
      assertPinned(await scene.dispute(edited, scene.honest), 'shape', undefined, `leaf ${at}`)
    }
  }
})

test('who ran another model is pinned where it differs first', async () => {
  assertPinned(await scene.dispute(await traceOf({ half: 0.25 }), scene.honest), 'wiring', '5[0]/0')
  assertPinned(await scene.dispute(await traceOf({ first: 'Tanh' }), scene.honest), 'shape', '0')
})

test('who ran other weights and names the model’s is pinned where they are used first', async () => {
  const other = lie({}, { half: 0.25 })
  const leaves = other.leaves.map(decodeLeaf)
  const [, theirs] = leaves.find(({ position }) => position === '5[0]/0')!.operands
  const [, models] = decodeLeaf(scene.honest.leaves[8]!).operands
  const renamed = leaves.map((leaf) =>
    encodeLeaf({
      ...leaf,
      operands: leaf.operands.map((digest) => (Buffer.compare(digest, theirs!) === 0 ? models! : digest)),
    }),
  )
  assertPinned(await scene.dispute({ ...other, leaves: renamed }, scene.honest), 'execution', '5[0]/0')
})

test('who ran other inputs than the receipt’s is pinned where the first of them is used', async () => {
  const others = [
    [{ x: [-1, 0.5, 2, 1.5, 4] }, '0'],
    [{ x: [-1, 0.5, 2, 1.5] }, '0'],
    [{ n: 1 }, '4'],
    [{ go: false }, '5?0'],
  ] as const
  for (const [inputs, position] of others) {
    const other = await traceOf({}, encodeTensors(disputedInputs(inputs)))
    assertPinned(await scene.dispute(other, scene.honest), 'wiring', position)
  }
})

test('a NaN of another kind in the inputs is the same NaN for everybody but a liar', async () => {
  const strange = disputedInputs().map((tensor) =>
    tensor.name === 'x' ? { ...bits(tensor, 1, STRANGE_NAN), name: 'x' } : tensor,
  )
  const there = await setScene(runtime, encodeTensors(strange))
  const [x] = disputedInputs({ x: [-1, Number.NaN, 2, 1.5, 3] })
  const plain = await setScene(runtime, encodeTensors([x!, ...strange.slice(1)]))
  assert.equal(there.honest.leaves, plain.honest.leaves)
  assert.equal(await there.dispute(there.honest, plain.honest), CLEAR)
  const liar = createLiar(MODEL, engine).testify(encodeTensors(strange), {
    0: given(0, (was) => bits(was, 1, STRANGE_NAN)),
  })
  assertPinned(await there.dispute(liar, there.honest), 'wiring', '0')
})

const CLEAR: Outcome = {
  divergence: undefined,
  left: { settlement: { status: 'clear' }, proof: undefined },
  right: { settlement: { status: 'clear' }, proof: undefined },
}

test('outputs that are not what the trace gives are pinned, though the leaves are honest', async () => {
  const tensors = decodeTensors(scene.honest.outputs)
  const change = (name: string, to: (was: Value) => Value) =>
    encodeTensors(tensors.map((tensor) => (tensor.name === name ? { ...to(tensor), name } : tensor)))
  const payloads: Record<string, Uint8Array> = {
    'the first': change('y', off),
    'a scan': change('each', off),
    'another shape': change('y', reshaped(3, 5)),
    'a NaN of another kind': change('y', (was) => bits(was, 0, STRANGE_NAN)),
    'an empty one': change('number', () => EMPTY),
    'one less': encodeTensors(tensors.slice(1)),
    'one more': encodeTensors([...tensors, { ...EMPTY, name: 'z' }]),
    'another name': encodeTensors(
      tensors.map((tensor) => (tensor.name === 'y' ? { ...tensor, name: 'z' } : tensor)),
    ),
    'no tensors': new Uint8Array(20),
  }
  for (const [what, outputs] of Object.entries(payloads)) {
    const { divergence, left, right } = await scene.dispute({ ...scene.honest, outputs }, scene.honest)
    assert.is(divergence, undefined, what)
    assert.is(left.settlement.status === 'guilty' && left.settlement.violation.kind, 'wiring', what)
    assert.is(left.proof?.verdict.kind, 'wiring', what)
    assert.equal(right, CLEAR.right, what)
  }
})

test('who traces the nodes as the file has them, not as the plan does, is pinned at the first of them', async () => {
  // The last step stands first in the file.
  const leaves = [scene.honest.leaves.at(-1)!, ...scene.honest.leaves.slice(0, -1)]
  assertPinned(await scene.dispute({ ...scene.honest, leaves }, scene.honest), 'shape', '11')
  // Two that do not need one another.
  const { honest } = scene
  const at = (position: string) => honest.leaves.findIndex((leaf) => decodeLeaf(leaf).position === position)
  const [early, late] = [at('7'), at('9')]
  const swapped = honest.leaves.with(early, honest.leaves[late]!).with(late, honest.leaves[early]!)
  assertPinned(await scene.dispute({ ...honest, leaves: swapped }, honest), 'shape', '9')
})

test.run()

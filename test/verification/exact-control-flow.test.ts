/** Lies about If and Loop, told on the real engine and computed on with: the real referee pins each to its leaf and proves it. */
import { test } from 'uvu'
import { createInProcessExactRuntime } from '../../models/runtime/index.ts'
import { encodeTensors } from '../../models/tensor/index.ts'
import {
  decodeLeaf,
  encodeLeaf,
  flagValue,
  iterationValue,
  type Leaf,
  type Value,
} from '../../models/trace/index.ts'
import { assertPinned, type Scene, setScene } from '../exact/dispute.ts'
import { disputedInputs, disputedModel } from '../exact/disputed-model.ts'
import { supplyEngine } from '../exact/lane.ts'
import { createLiar, type Liar, type Lie, type Lies, type Testimony, type Values } from '../exact/liar.ts'
import { decides, given, lied, madeAt, off } from '../exact/lies.ts'

type Kind = 'shape' | 'wiring' | 'execution'

const MODEL = disputedModel()
/** The first Loop ends by its trip count; by its condition; does not begin, by its condition; or by its trip count. */
const INPUTS = {
  trips: encodeTensors(disputedInputs()),
  condition: encodeTensors(disputedInputs({ n: 50 })),
  never: encodeTensors(disputedInputs({ go: false })),
  nought: encodeTensors(disputedInputs({ n: -1 })),
}
type Course = keyof typeof INPUTS

const scenes = new Map<Course, Scene>()
let liar: Liar
test.before(async () => {
  const supply = supplyEngine()
  const runtime = createInProcessExactRuntime(MODEL.model, { supplyEngine: supply })
  for (const [course, inputs] of Object.entries(INPUTS)) {
    scenes.set(course as Course, await setScene(runtime, inputs))
  }
  liar = createLiar(MODEL, await supply())
})

const trips = (count: number): Lie => given(0, () => iterationValue(count))

const LIES: readonly (readonly [what: string, course: Course, lies: Lies, kind: Kind, position: string])[] = [
  ['the wrong branch of an If', 'trips', { '3?': decides(false) }, 'shape', '3?'],
  ['the other branch than was decided', 'trips', { '3?': { goes: false } }, 'shape', '3[else]/0'],
  ['a condition that is not what its step gave', 'trips', { '3?': given(0, off) }, 'wiring', '3?'],
  ['a condition that its step does not give', 'trips', { 2: lied() }, 'execution', '2'],
  [
    'a decision that is neither',
    'trips',
    { '3?': { outputs: () => [iterationValue(1)], goes: true } },
    'shape',
    '3?',
  ],
  ['a step of a branch', 'trips', { '3[then]/0': lied() }, 'execution', '3[then]/0'],
  ['what comes out of a branch', 'trips', { '3!': lied() }, 'shape', '3!'],
  [
    'what comes out of a branch, and is not what its step gave',
    'trips',
    { '3!': given(0, madeAt('0')) },
    'wiring',
    '3!',
  ],
  ['a constant that comes out of a branch', 'trips', { '3!': given(1, off) }, 'wiring', '3!'],

  ['the first step of an iteration', 'trips', { '5[1]/0': lied() }, 'execution', '5[1]/0'],
  ['the last step of the last iteration', 'trips', { '5[2]/4': lied() }, 'execution', '5[2]/4'],
  ['a value of the iteration before', 'trips', { '5[1]/1': given(0, madeAt('5[0]/0')) }, 'wiring', '5[1]/1'],
  ['a value from outside the body', 'trips', { '5[1]/1': given(1, off) }, 'wiring', '5[1]/1'],
  [
    'the number of an iteration',
    'trips',
    { '5?1': { outputs: (made) => made.with(1, iterationValue(0)) } },
    'shape',
    '5?1',
  ],
  [
    'the number that a step of an iteration is given',
    'trips',
    { '5[1]/4': given(0, () => iterationValue(2)) },
    'wiring',
    '5[1]/4',
  ],

  ['a trip count that its step does not give', 'trips', { 4: lied() }, 'execution', '4'],
  [
    'a trip count that is not what its step gave',
    'trips',
    { '5?0': trips(2), '5?1': trips(2), '5?2': trips(2) },
    'wiring',
    '5?0',
  ],
  ['a trip count that changes on the way', 'trips', { '5?2': trips(2) }, 'wiring', '5?2'],
  ['a Loop that ends before its trip count', 'trips', { '5?2': decides(false) }, 'execution', '5?2'],
  ['a Loop that ends before it began', 'trips', { '5?0': decides(false) }, 'execution', '5?0'],
  ['a Loop that goes on beyond its trip count', 'trips', { '5?3': decides(true) }, 'execution', '5?3'],
  [
    'a Loop that runs though its trip count is nought',
    'nought',
    { '5?0': decides(true) },
    'execution',
    '5?0',
  ],
  ['a Loop that runs though its condition is false', 'never', { '5?0': decides(true) }, 'shape', '5?0'],
  [
    'a Loop that goes on though its condition is false',
    'condition',
    { '5?4': decides(true) },
    'shape',
    '5?4',
  ],
  ['a Loop that ends though it was to go on', 'trips', { '5?1': { goes: false } }, 'shape', '5!1'],
  ['a Loop that goes on though it was to end', 'trips', { '5?3': { goes: true } }, 'shape', '5[3]/0'],
  ['a condition within that ends a Loop too early', 'condition', { '5[1]/3': lied() }, 'execution', '5[1]/3'],
  ['a condition within that ends a Loop too late', 'condition', { '5[3]/3': lied() }, 'execution', '5[3]/3'],
  ['a condition that is not what the body gave', 'condition', { '5?2': given(1, off) }, 'wiring', '5?2'],
  [
    'a condition that changes on the way into the body',
    'trips',
    { '5?1': { outputs: (made) => made.with(2, flagValue(false)) } },
    'shape',
    '5?1',
  ],
  ['a Loop without a trip count that ends too early', 'trips', { '6?1': decides(false) }, 'shape', '6?1'],
  ['a Loop without a trip count that ends too late', 'trips', { '6?2': decides(true) }, 'shape', '6?2'],
  ['its condition, said to be another', 'trips', { '6?1': given(1, off) }, 'wiring', '6?1'],
  ['its condition, of which the step is false', 'trips', { '6[1]/2': lied() }, 'execution', '6[1]/2'],

  ['the value with which a Loop begins', 'trips', { '5?0': given(2, madeAt('0')) }, 'wiring', '5?0'],
  ['a carried value that is not what the body gave', 'trips', { '5?1': given(2, off) }, 'wiring', '5?1'],
  [
    'a carried value of the iteration before',
    'trips',
    { '5?2': given(2, madeAt('5[0]/1')) },
    'wiring',
    '5?2',
  ],
  ['a carried value that changes on the way into the body', 'trips', { '5?1': lied(3) }, 'shape', '5?1'],
  [
    'a carried value that a step of the body is given',
    'trips',
    { '5[2]/0': given(0, off) },
    'wiring',
    '5[2]/0',
  ],
  ['a carried value at the end', 'trips', { '5!3': given(0, off) }, 'wiring', '5!3'],
  ['a carried value that changes in the end', 'trips', { '5!3': lied(0) }, 'shape', '5!3'],
  ['what a Loop stacked', 'trips', { '5!3': lied(1) }, 'execution', '5!3'],
  [
    'what a Loop stacked, one iteration short',
    'trips',
    { '5!3': { outputs: (made) => made.with(1, firstRows(made[1]!, 2)) } },
    'execution',
    '5!3',
  ],
  [
    'what a Loop of no iteration stacked',
    'never',
    { '5!0': { outputs: (made) => made.with(2, { dtype: 'float32', dims: [1], data: new Uint8Array(4) }) } },
    'execution',
    '5!0',
  ],
  ['elements stacked in another order', 'trips', { '5!3': { operands: swapElements } }, 'wiring', '5!3'],
  ['one element for two iterations', 'trips', { '5!3': given(4, madeAt('5[1]/4')) }, 'wiring', '5!3'],
]

for (const [what, course, lies, kind, position] of LIES) {
  test(`on the real engine, a lie is pinned: ${what} (${kind})`, async () => {
    const scene = scenes.get(course)!
    assertPinned(await scene.dispute(liar.testify(INPUTS[course], lies), scene.honest), kind, position)
  })
}

function firstRows({ dtype, dims, data }: Value, rows: number): Value {
  return {
    dtype,
    dims: [rows, ...dims.slice(1)],
    data: data.subarray(0, (data.byteLength / dims[0]!) * rows),
  }
}

/** Of three iterations, the elements of the first scan. */
function swapElements([carried, first, second, ...rest]: Values): Values {
  return [carried, second, first, ...rest]
}

type Edit = (leaves: readonly Leaf[], at: (position: string) => number) => readonly Leaf[]

/** What is written down of an honest run, in another order, length or place; and at which position it is false. */
const EDITS: readonly (readonly [what: string, edit: Edit, position: string])[] = [
  ['no leaf at all', () => [], '0'],
  ['nothing after the first leaf', (leaves) => leaves.slice(0, 1), '1'],
  ['the first leaf is missing', (leaves) => leaves.slice(1), '1'],
  ['the last leaf is missing', (leaves) => leaves.slice(0, -1), '11'],
  ['the last leaf stands there twice', (leaves) => [...leaves, leaves.at(-1)!], '11'],
  ['the steps of a branch are missing', (leaves, at) => leaves.toSpliced(at('3[then]/0'), 1), '3!'],
  ['the end of an If is missing', (leaves, at) => leaves.toSpliced(at('3!'), 1), '4'],
  [
    'both branches are there',
    (leaves, at) =>
      leaves.toSpliced(at('3!'), 0, { ...leaves[at('8')]!, position: '3[else]/0', operator: elseOperator() }),
    '3[else]/0',
  ],
  ['an iteration is missing', (leaves, at) => leaves.toSpliced(at('5?1'), 6), '5?2'],
  [
    'an iteration is there twice',
    (leaves, at) => leaves.toSpliced(at('5?2'), 0, ...leaves.slice(at('5?1'), at('5?2'))),
    '5?1',
  ],
  [
    'two iterations have changed places',
    (leaves, at) => [
      ...leaves.slice(0, at('5?0')),
      ...leaves.slice(at('5?1'), at('5?2')),
      ...leaves.slice(at('5?0'), at('5?1')),
      ...leaves.slice(at('5?2')),
    ],
    '5?1',
  ],
  [
    'two steps have changed places',
    (leaves, at) => leaves.with(at('0'), leaves[at('1')]!).with(at('1'), leaves[at('0')]!),
    '1',
  ],
  ['the decision that ends a Loop is missing', (leaves, at) => leaves.toSpliced(at('5?3'), 1), '5!3'],
  ['the end of a Loop is missing', (leaves, at) => leaves.toSpliced(at('5!3'), 1), '6?0'],
  [
    'a Loop ends after another number of iterations',
    (leaves, at) => leaves.with(at('5!3'), { ...leaves[at('5!3')]!, position: '5!2' }),
    '5!2',
  ],
  [
    'an iteration has another number',
    (leaves, at) => leaves.with(at('5[1]/0'), { ...leaves[at('5[1]/0')]!, position: '5[2]/0' }),
    '5[2]/0',
  ],
  [
    'an iteration that no Loop can have',
    (leaves, at) => leaves.with(at('5[1]/0'), { ...leaves[at('5[1]/0')]!, position: '5[16384]/0' }),
    '5[16384]/0',
  ],
  ['a step that the plan does not have', (leaves) => leaves.with(3, { ...leaves[3]!, position: '12' }), '12'],
  [
    'another operator',
    (leaves, at) => leaves.with(at('7'), { ...leaves[at('7')]!, operator: leaves[at('8')]!.operator }),
    '7',
  ],
]

for (const [what, edit, position] of EDITS) {
  test(`on the real engine, a trace of another shape is pinned: ${what}`, async () => {
    const scene = scenes.get('trips')!
    const leaves = scene.honest.leaves.map(decodeLeaf)
    const at = (wanted: string) => leaves.findIndex((leaf) => leaf.position === wanted)
    const edited: Testimony = { ...scene.honest, leaves: edit(leaves, at).map(encodeLeaf) }
    assertPinned(await scene.dispute(edited, scene.honest), 'shape', position)
  })
}

function elseOperator(): Uint8Array {
  return scenes
    .get('trips')!
    .plan.blocks.flatMap(({ steps }) => steps)
    .find(({ type }) => type === 'Neg')!.digest
}

test.run()

/** Two parties on the real engine, of which both may lie: each is judged by its own statement, whatever the other says. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createInProcessExactRuntime } from '../../models/runtime/index.ts'
import { encodeTensors } from '../../models/tensor/index.ts'
import { decodeLeaf } from '../../models/trace/index.ts'
import type { Guilty } from '../../src/verification/index.ts'
import { assertPinned, type Found, type Scene, setScene } from '../exact/dispute.ts'
import { disputedInputs, disputedModel } from '../exact/disputed-model.ts'
import { supplyEngine } from '../exact/lane.ts'
import { createLiar, type Liar, type Lies, type Testimony } from '../exact/liar.ts'
import { decides, given, lied, madeAt, off } from '../exact/lies.ts'
import { createSamples } from '../exact/models/model.ts'

const MODEL = disputedModel()
const INPUTS = encodeTensors(disputedInputs())
let scene: Scene
let liar: Liar
test.before(async () => {
  const supply = supplyEngine()
  scene = await setScene(createInProcessExactRuntime(MODEL.model, { supplyEngine: supply }), INPUTS)
  liar = createLiar(MODEL, await supply())
})

const lie = (lies: Lies): Testimony => liar.testify(INPUTS, lies)
const CLEAR: Found = { settlement: { status: 'clear' }, proof: undefined }

/** Kind and position of what a party was proved guilty of. */
function guiltOf({
  settlement,
  proof,
}: Found): readonly [Guilty['violation']['kind'], string | undefined] | string {
  if (settlement.status !== 'guilty') return settlement.status
  assert.ok(proof !== undefined)
  const { violation } = settlement
  return [violation.kind, 'position' in violation ? violation.position : undefined]
}

test('both lie at one step in different ways: both are guilty, each by a proof of its own', async () => {
  const twice = lied(0, (was) => off(off(was)))
  for (const position of ['0', '5[1]/1', '11']) {
    const { left, right } = await scene.dispute(lie({ [position]: lied() }), lie({ [position]: twice }))
    assert.equal([left, right].map(guiltOf), [
      ['execution', position],
      ['execution', position],
    ])
    assert.is.not(left.proof!.verdict.accused, right.proof!.verdict.accused)
  }
})

test('both lie at one step in different kinds: both are guilty, each in its own', async () => {
  const { left, right } = await scene.dispute(lie({ '5?2': given(0, off) }), lie({ '5?2': decides(false) }))
  assert.equal([left, right].map(guiltOf), [
    ['wiring', '5?2'],
    ['execution', '5?2'],
  ])
  const other = await scene.dispute(lie({ '3?': decides(false) }), lie({ '3?': { goes: false } }))
  assert.equal([other.left, other.right].map(guiltOf), [
    ['shape', '3?'],
    ['shape', '3[else]/0'],
  ])
})

test('one ends a Loop too early, one too late: the early one is guilty where they part, the late one by an honest trace', async () => {
  const early = lie({ '5?2': decides(false) })
  const late = lie({ '5?3': decides(true) })
  assertPinned(await scene.dispute(early, late), 'execution', '5?2')
  assertPinned(await scene.dispute(late, scene.honest), 'execution', '5?3')
})

test('both lie at different steps: the earlier is guilty where they part, the later by an honest trace', async () => {
  const late = lie({ '6[0]/0': lied() })
  for (const [lies, kind, position] of [
    [{ '3?': decides(false) }, 'shape', '3?'],
    [{ 4: lied() }, 'execution', '4'],
    [{ '5[1]/1': given(0, off) }, 'wiring', '5[1]/1'],
  ] as const) {
    assertPinned(await scene.dispute(lie(lies), late), kind, position)
  }
  assertPinned(await scene.dispute(late, scene.honest), 'execution', '6[0]/0')
})

test('a later lie that needs no run condemns whoever was right where the two part', async () => {
  const { left, right } = await scene.dispute(lie({ 0: lied() }), lie({ 8: given(0, off) }))
  assert.equal([left, right].map(guiltOf), [
    ['execution', '0'],
    ['wiring', '8'],
  ])
})

/** What two liars say alike before they part at the last step of the second Loop. */
const SHARED: readonly (readonly [what: string, lies: Lies, position: string])[] = [
  ['a value', { 0: lied() }, '0'],
  ['the branch, by its condition', { 2: lied() }, '2'],
  ['the trip count, by its step', { 4: lied() }, '4'],
  ['the ending of a Loop', { '5?2': decides(false) }, '5?2'],
  ['a stacked output', { '5!3': lied(1) }, '5!3'],
]
for (const [what, shared, position] of SHARED) {
  test(`both lie alike up to a step, about ${what}, and part: one is guilty there, the other by an honest trace`, async () => {
    const left = lie({ ...shared, 10: lied(0, (was) => ({ ...was, dims: [1], data: new Uint8Array(4) })) })
    const right = lie(shared)
    // The step is right on what the shared lie made of its operands: that is all that is known of the other.
    assertPinned(await scene.dispute(left, right), 'execution', '10')
    assertPinned(await scene.dispute(right, scene.honest), 'execution', position)
    assertPinned(await scene.dispute(left, scene.honest), 'execution', position)
  })
}

test('what follows a shared lie is run on the operands that the lie made, not on the honest ones', async () => {
  const shared = { '5[0]/0': lied() }
  const left = lie({ ...shared, '5[1]/1': lied() })
  assertPinned(await scene.dispute(left, lie(shared)), 'execution', '5[1]/1')
})

test('a shared beginning that contradicts itself condemns both, wherever they part', async () => {
  const beginnings: readonly (readonly [Lies, 'shape' | 'wiring', string])[] = [
    [{ '3?': decides(false) }, 'shape', '3?'],
    [{ 4: given(1, off) }, 'wiring', '4'],
    [{ '5?1': lied(3) }, 'shape', '5?1'],
    [{ '5[1]/1': given(0, madeAt('5[0]/0')) }, 'wiring', '5[1]/1'],
  ]
  for (const [shared, kind, position] of beginnings) {
    const { left, right } = await scene.dispute(lie(shared), lie({ ...shared, 11: lied() }))
    assert.equal([left, right].map(guiltOf), [
      [kind, position],
      [kind, position],
    ])
  }
})

test('both lie alike to the end: nothing parts them, and nothing is found but by an honest trace', async () => {
  const lies = { '5[1]/0': lied() }
  const { divergence, left, right } = await scene.dispute(lie(lies), lie(lies))
  assert.equal([divergence, left, right], [undefined, CLEAR, CLEAR])
  assertPinned(await scene.dispute(lie(lies), scene.honest), 'execution', '5[1]/0')
})

test('alike but for what they say that came out: who says what its trace does not give is guilty', async () => {
  const lies = { 0: lied() }
  const { left, right } = await scene.dispute({ ...lie(lies), outputs: scene.honest.outputs }, lie(lies))
  assert.equal([left, right].map(guiltOf), [['wiring', undefined], 'clear'])
})

test('an honest answer over a lied trace is a lie in its step, and a lied one over an honest trace in its wiring', async () => {
  const last = lie({ 11: lied() })
  const over = await scene.dispute({ ...last, outputs: scene.honest.outputs }, scene.honest)
  assert.equal([over.left, over.right].map(guiltOf), [['execution', '11'], 'clear'])
  const under = await scene.dispute({ ...scene.honest, outputs: last.outputs }, scene.honest)
  assert.equal([under.left, under.right].map(guiltOf), [['wiring', undefined], 'clear'])
})

test('of any two liars the one who lies where they part is guilty there, and each is by an honest trace', async () => {
  const positions = scene.honest.leaves
    .map((leaf) => decodeLeaf(leaf).position)
    .filter((at) => /^[\d[\]/]+$/.test(at))
  const operators = positions.filter((at) => !['9', '10'].includes(at))
  for (let seed = 1; seed <= 20; seed++) {
    const [first, second] = createSamples(seed)
      .integers(2, 0, operators.length)
      .sort((a, b) => a - b)
    const about = `seed ${seed}`
    if (first === second) continue
    const [early, late] = [operators[first!]!, operators[second!]!]
    const both = lie({ [early]: lied(), [late]: lied() })
    const later = lie({ [late]: lied() })
    assertPinned(await scene.dispute(lie({ [early]: lied() }), later), 'execution', early, about)
    assertPinned(await scene.dispute(both, later), 'execution', early, about)
    assertPinned(await scene.dispute(both, scene.honest), 'execution', early, about)
    assertPinned(await scene.dispute(later, scene.honest), 'execution', late, about)
  }
})

test.run()

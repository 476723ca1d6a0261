/** Who does not show what its step was given, against the real referee: it gains nothing by it, and a refusal costs nothing. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeTensors, encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import { digestValue } from '../../models/trace/index.ts'
import { given, lied, off } from '../exact/lies.ts'
import type { Misdeed } from '../fixtures/dispute-misdeeds.ts'
import {
  type DisputingScene,
  judgeBothWays,
  setDisputingScene,
  type Waiting,
} from '../fixtures/disputing-scene.ts'

let scene: DisputingScene
test.before(async () => {
  scene = await setDisputingScene()
})
test.after(() => scene.stop())

/** In place of the operands of the step in question. */
const AT_OPERANDS: readonly (readonly [
  what: string,
  misdeed: Misdeed,
  waiting: Waiting,
  isHeldAgainstIt: boolean,
])[] = [
  ['silence', () => undefined, 'an answer', true],
  ['a reset', ({ stream }) => stream.abort(new Error('no')), 'the connection', true],
  ['a signed busy', ({ refusal }) => refusal('busy'), 'nothing', false],
  ['a signed refusal', ({ refusal }) => refusal('cannot-trace'), 'nothing', false],
  [
    'values that do not hash to their names',
    async ({ operands, testimony }) =>
      operands(change(await testimony.operands('5[1]/1'), (tensor) => ({ ...tensor, ...off(tensor) }))),
    'nothing',
    true,
  ],
  [
    'values in another shape',
    async ({ operands, testimony }) =>
      operands(
        change(await testimony.operands('5[1]/1'), (tensor) => ({ ...tensor, dims: [1, ...tensor.dims] })),
      ),
    'nothing',
    true,
  ],
  [
    'values of another type',
    async ({ operands, testimony }) =>
      operands(change(await testimony.operands('5[1]/1'), (tensor) => ({ ...tensor, dtype: 'int32' }))),
    'nothing',
    true,
  ],
  [
    'the operands of another step',
    async ({ operands, testimony }) => operands(await testimony.operands('0')),
    'nothing',
    true,
  ],
  ['no operand at all', ({ operands }) => operands(encodeTensors([])), 'nothing', true],
  [
    'one operand of two',
    async ({ operands, testimony }) =>
      operands(encodeTensors(decodeTensors(await testimony.operands('5[1]/1')).slice(1))),
    'nothing',
    true,
  ],
  [
    'one value more',
    async ({ operands, testimony }) => {
      const more = { dtype: 'float32', dims: [1], data: new Uint8Array(4) } as const
      const name = Buffer.from(digestValue(more)).toString('hex')
      operands(encodeTensors([...decodeTensors(await testimony.operands('5[1]/1')), { ...more, name }]))
    },
    'nothing',
    true,
  ],
]
for (const [what, misdeed, waiting, isHeldAgainstIt] of AT_OPERANDS) {
  test(`who gives ${what} in place of operands is judged on those of the honest party, which are the same`, async () => {
    const second = { lies: { '5[1]/1': lied() }, atOperands: misdeed }
    // Seated first it is asked first.
    await scene.dispute({ first: 'honest', second }, async (dispute) => {
      await dispute.traceBoth()
      const verdicts = await dispute.judge(2, 1, waiting)
      assert.equal(
        [verdicts.get(2), verdicts.get(1)],
        [{ status: 'guilty', kind: 'execution' }, { status: 'cleared' }],
      )
      assert.equal(
        dispute.proofs.map(({ verdict }) => [verdict.accused, verdict.kind, verdict.position]),
        [[dispute.providerOf(2), 'execution', '5[1]/1']],
      )
    })
  })

  const end = isHeldAgainstIt ? 'has withheld them' : 'has lost nothing'
  test(`who gives ${what} in place of operands that nobody else has ${end}`, async () => {
    // The other one lies about its operands at the same step, so that they are no use.
    const first = { lies: { '5[1]/1': given(0, off) } }
    const second = { lies: { '5[1]/1': lied() }, atOperands: misdeed }
    assert.equal(await judgeBothWays(scene, { first, second }, waiting), {
      first: { status: 'guilty', kind: 'wiring' },
      second: { status: isHeldAgainstIt ? 'withheld' : 'undecided' },
      proved: ['first: wiring'],
      reported: ['first: wiring', ...(isHeldAgainstIt ? ['second: withheld'] : [])],
    })
  })
}

/** The payload with its first tensor changed, and the names as they are. */
function change(payload: Uint8Array, to: (tensor: Tensor) => Tensor): Uint8Array {
  return encodeTensors(decodeTensors(payload).map((tensor, at) => (at === 0 ? to(tensor) : tensor)))
}

test.run()

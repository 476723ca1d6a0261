/** Parties of a dispute that do not play along, against the real referee: silence, refusals, and leaves or operands that lie. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeTensors, encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import { hashLeaf, merkleRoot } from '../../models/trace/index.ts'
import type { Judgement } from '../../src/requester/index.ts'
import { lied } from '../exact/lies.ts'
import type { Conduct, Misdeed } from '../fixtures/dispute-misdeeds.ts'
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

const silence: Misdeed = () => undefined
const LIES = { '5[1]/0': lied() }
const CLEARED: Judgement = { status: 'cleared' }
const WITHHELD: Judgement = { status: 'withheld' }
const UNDECIDED: Judgement = { status: 'undecided' }
const GUILTY: Judgement = { status: 'guilty', kind: 'execution' }

test('a liar that plays along is guilty by a proof, and the honest provider cleared', async () => {
  assert.equal(await judgeBothWays(scene, { first: 'honest', second: { lies: LIES } }), {
    first: CLEARED,
    second: GUILTY,
    proved: ['second: execution'],
    reported: ['second: execution'],
  })
})

/** After a commitment, in place of the leaves. */
const AT_LEAVES: readonly (readonly [what: string, conduct: Conduct, waiting: Waiting, second: Judgement])[] =
  [
    ['silence', { atLeaves: silence }, 'an answer', WITHHELD],
    [
      'the end of the stream',
      { atLeaves: ({ stream }) => stream.stream.close() },
      'the connection',
      WITHHELD,
    ],
    ['a reset', { atLeaves: ({ stream }) => stream.abort(new Error('no')) }, 'the connection', WITHHELD],
    ['a signed busy', { atLeaves: ({ refusal }) => refusal('busy') }, 'nothing', UNDECIDED],
    ['a signed refusal', { atLeaves: ({ refusal }) => refusal('cannot-trace') }, 'nothing', UNDECIDED],
    [
      'one leaf too few',
      { atLeaves: ({ leaves, testimony }) => leaves(testimony.leaves.slice(0, -1)) },
      'nothing',
      WITHHELD,
    ],
    [
      'one leaf too many',
      { atLeaves: ({ leaves, testimony }) => leaves([...testimony.leaves, testimony.leaves[0]!]) },
      'nothing',
      WITHHELD,
    ],
    [
      'leaves in another order',
      { atLeaves: ({ leaves, testimony }) => leaves(testimony.leaves.toReversed()) },
      'nothing',
      WITHHELD,
    ],
    [
      'the leaves of an honest run, to which it did not commit',
      { atLeaves: async ({ leaves }) => leaves(await honestLeaves()) },
      'nothing',
      WITHHELD,
    ],
    ['a count above that of its leaves', { commitment: { leafCount: 43 } }, 'nothing', WITHHELD],
    ['a count below that of its leaves', { commitment: { leafCount: 41 } }, 'nothing', WITHHELD],
    [
      'the last leaf twice, as trees are filled up elsewhere',
      {
        commitment: { leafCount: 43 },
        atLeaves: ({ leaves, testimony }) => leaves([...testimony.leaves, testimony.leaves.at(-1)!]),
      },
      'nothing',
      WITHHELD,
    ],
    [
      'the two halves of its tree as two leaves',
      { commitment: { leafCount: 2 }, atLeaves: ({ leaves, testimony }) => leaves(halves(testimony.leaves)) },
      'nothing',
      WITHHELD,
    ],
    [
      'its whole tree as one leaf',
      {
        commitment: { leafCount: 1 },
        atLeaves: ({ leaves, testimony }) =>
          leaves([Buffer.concat([Buffer.of(1), ...halves(testimony.leaves)])]),
      },
      'nothing',
      WITHHELD,
    ],
    [
      'no leaves under a count',
      { commitment: { leafCount: 1 }, atLeaves: ({ leaves }) => leaves([]) },
      'nothing',
      WITHHELD,
    ],
  ]
for (const [what, conduct, waiting, second] of AT_LEAVES) {
  test(`a commitment followed by ${what} is ${second.status}, and the honest provider is none the worse`, async () => {
    const found = await judgeBothWays(scene, { first: 'honest', second: { lies: LIES, ...conduct } }, waiting)
    const reported = second === WITHHELD ? ['second: withheld'] : []
    assert.equal(found, { first: UNDECIDED, second, proved: [], reported })
  })
}

test('who is silent and answers no pings was cut off, and nobody is to blame', async () => {
  const second = { lies: LIES, atLeaves: silence }
  const found = await judgeBothWays(scene, { first: 'honest', second, isAlive: false }, 'an answer')
  assert.equal(found, { first: UNDECIDED, second: UNDECIDED, proved: [], reported: [] })
})

/** In place of a commitment. */
const AT_DEMAND: readonly (readonly [what: string, conduct: Conduct, waiting: Waiting, code: string])[] = [
  ['silence', { atDemand: silence }, 'an answer', 'withheld'],
  ['a reset', { atDemand: ({ stream }) => stream.abort(new Error('no')) }, 'the connection', 'unreachable'],
  ['a signed busy', { atDemand: ({ refusal }) => refusal('busy') }, 'nothing', 'busy'],
  ['a signed refusal', { atDemand: ({ refusal }) => refusal('cannot-trace') }, 'nothing', 'cannot-trace'],
  [
    'leaves',
    { atDemand: ({ leaves, testimony }) => leaves(testimony.leaves) },
    'nothing',
    'violated-protocol',
  ],
  [
    'a trace of another job',
    { commitment: { jobCommitment: new Uint8Array(32) } },
    'nothing',
    'violated-protocol',
  ],
  [
    'a trace for another receipt',
    { commitment: { receiptDigest: new Uint8Array(32) } },
    'nothing',
    'violated-protocol',
  ],
  [
    'a trace with other outputs',
    { commitment: { outputDigest: new Uint8Array(32) } },
    'nothing',
    'violated-protocol',
  ],
  ['a trace of another plan', { commitment: { planRoot: new Uint8Array(32) } }, 'nothing', 'not-comparable'],
  [
    'a trace of another wasm',
    { commitment: { laneId: '1.26.0+wasm.fedcba9876543210+trace.1' } },
    'nothing',
    'not-comparable',
  ],
]
for (const [what, conduct, waiting, code] of AT_DEMAND) {
  test(`a demand answered with ${what} ends as ${code}, proves nothing, and the other one still traces`, async () => {
    await scene.dispute({ first: 'honest', second: { lies: LIES, ...conduct } }, async (dispute) => {
      const tracing = dispute.trace(2)
      await dispute.wait(waiting)
      const traced = await tracing
      assert.is(traced.type === 'traceFailed' ? traced.code : traced.type, code)
      assert.is((await dispute.trace(1)).type, 'traced')
      assert.equal(dispute.proofs, [])
      const isHeldAgainstIt = code === 'withheld' || code === 'violated-protocol'
      assert.equal(
        dispute.disputing.reports(dispute.job.signed.id).map(({ kind, step, proof }) => [kind, step, proof]),
        isHeldAgainstIt ? [['withheld', 0, undefined]] : [],
      )
    })
  })
}

test('equal roots under different native answers: the exact run decides, and proves nothing to others', async () => {
  // A twentieth off: beyond whatever honest engines differ by.
  const answer = change(scene.truth, (tensor) => ({ ...tensor, data: scaled(tensor.data) }))
  for (const [first, agree] of [
    ['honest', [true, false]],
    [
      { answer: change(scene.truth, (tensor) => ({ ...tensor, data: scaled(scaled(tensor.data)) })) },
      [false, false],
    ],
  ] as const) {
    await scene.dispute({ first, second: { answer }, lane: 'native' }, async (dispute) => {
      const traced = [await dispute.trace(1), await dispute.trace(2)]
      const both = traced.flatMap((event) => (event.type === 'traced' ? [event] : []))
      assert.is(both[0]?.root, both[1]?.root)
      assert.equal(
        both.map(({ agrees }) => agrees),
        agree,
      )
      assert.equal(
        both.map(({ contradicts }) => contradicts),
        agree.map((is) => !is),
      )
      assert.equal([...(await dispute.judge(1, 2)).values()], [CLEARED, CLEARED])
      assert.equal(dispute.proofs, [])
      const reports = dispute.disputing.reports(dispute.job.signed.id)
      assert.equal(
        reports.map(({ kind, loser, proof }) => [kind, loser, proof]),
        agree.flatMap((is, at) =>
          is ? [] : [['contradicted-exact', dispute.providerOf(at + 1), undefined]],
        ),
      )
    })
  }
})

test('equal roots under different exact answers: who did not answer what it traced is proved a liar', async () => {
  const answer = change(scene.truth, (tensor) => ({ ...tensor, data: scaled(tensor.data) }))
  await scene.dispute({ first: 'honest', second: { answer } }, async (dispute) => {
    await dispute.traceBoth()
    assert.equal(
      dispute.proofs.map(({ verdict }) => [verdict.accused, verdict.kind]),
      [[dispute.providerOf(2), 'wiring']],
    )
  })
})

async function honestLeaves(): Promise<readonly Uint8Array[]> {
  const { leaves } = await scene.runtime.trace(scene.inputs, new AbortController().signal)
  return leaves
}

/** Of a tree of 42 leaves the left half has 32. */
function halves(leaves: readonly Uint8Array[]): Uint8Array[] {
  return [leaves.slice(0, 32), leaves.slice(32)].map((half) => merkleRoot(half.map(hashLeaf)))
}

/** The payload with its first tensor changed, and the names as they are. */
function change(payload: Uint8Array, to: (tensor: Tensor) => Tensor): Uint8Array {
  return encodeTensors(decodeTensors(payload).map((tensor, at) => (at === 0 ? to(tensor) : tensor)))
}

function scaled(data: Uint8Array): Uint8Array {
  return new Uint8Array(new Float32Array(data.slice().buffer).map((element) => element * 1.05).buffer)
}

test.run()

import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createPlan,
  deciderOf,
  decisionOf,
  examineLeaf,
  expect,
  firstPosition,
  type LeafFault,
  nextPosition,
  outputOrigins,
  type Plan,
  PlanError,
  type PlanErrorCode,
  placeOf,
  stepAt,
} from '../../../models/plan/index.ts'
import {
  ABSENT,
  digestValue,
  FALSE_DIGEST,
  flagDigest,
  flagValue,
  iterationValue,
  type Leaf,
  TRUE_DIGEST,
} from '../../../models/trace/index.ts'
import { runToy, toyInputs } from '../../fixtures/toy-execution.ts'
import {
  ABSENT_SOURCE,
  carried,
  from,
  ifStep,
  input,
  loopStep,
  operator,
  randomPlan,
  TWO,
  toyPlan,
  toyValue,
  YES,
} from '../../fixtures/toy-plans.ts'

const plan = toyPlan()
const honest = runToy(plan, toyInputs(plan))!
const isCode = (code: PlanErrorCode) => (error: unknown) => error instanceof PlanError && error.code === code
const other = digestValue(toyValue('another value'))

function leafAt(position: string): Leaf {
  const leaf = honest.leaves.find((each) => each.position === position)
  assert.ok(leaf !== undefined, position)
  return leaf
}

/** The leaf at a position with one digest of its operands or outputs replaced. */
function changed(position: string, where: 'operands' | 'outputs', at: number, digest: Uint8Array): Leaf {
  const leaf = leafAt(position)
  return { ...leaf, [where]: leaf[where].with(at, digest) }
}

test('a trace goes through If and Loop in the order of execution', () => {
  const positions = honest.leaves.map(({ position }) => position)
  assert.equal(positions, [
    ...['0', '1?', '1[then]/0', '1!'],
    ...['2?0', '2[0]/0', '2[0]/1', '2?1', '2[1]/0', '2[1]/1', '2?2', '2!2'],
    ...['3?0', '3[0]/0?0', '3[0]/0[0]/0', '3[0]/0?1', '3[0]/0[1]/0', '3[0]/0?2', '3[0]/0!2', '3[0]/1'],
    ...['3?1', '3[1]/0?0', '3[1]/0[0]/0', '3[1]/0?1', '3[1]/0[1]/0', '3[1]/0?2', '3[1]/0!2', '3[1]/1'],
    ...['3?2', '3!2', '4?0', '4!0', '5'],
  ])
  assert.equal(walked(plan, honest.leaves), positions)
})

test('a branch without steps is passed through', () => {
  const { leaves } = runToy(plan, toyInputs(plan, 0, false))!
  assert.equal(walked(plan, leaves).slice(0, 4), ['0', '1?', '1!', '2?0'])
})

test('a loop body without steps decides again at once', () => {
  const empty = createPlan({
    inputs: ['x', 'flag'],
    outputs: [{ name: 'y', source: from(0) }],
    blocks: [
      { steps: [loopStep(1, [TWO, YES, input(0)])], outputs: [] },
      { steps: [], outputs: [carried(1), carried(2)] },
    ],
  })
  const { leaves } = runToy(empty, toyInputs(empty))!
  assert.equal(walked(empty, leaves), ['0?0', '0?1', '0?2', '0!2'])
})

test('a plan without steps has no first leaf', () => {
  const nothing = createPlan({
    inputs: ['x'],
    outputs: [{ name: 'y', source: input(0) }],
    blocks: [{ steps: [], outputs: [] }],
  })
  assert.is(firstPosition(nothing), undefined)
})

test('no leaf follows one that decides neither way, or whose position the plan has not', () => {
  const undecided = { ...leafAt('1?'), outputs: [other] }
  assert.throws(() => nextPosition(plan, undecided), isCode('no-decision'))
  assert.throws(() => nextPosition(plan, { ...undecided, outputs: [] }), isCode('no-decision'))
  const endless = { ...leafAt('2?0'), position: '2?16384' }
  assert.throws(() => nextPosition(plan, endless), isCode('no-decision'))
  assert.is(nextPosition(plan, { ...endless, outputs: [FALSE_DIGEST] }), '2!16384')
  for (const position of WRONG_POSITIONS) {
    assert.throws(
      () => nextPosition(plan, { ...leafAt('0'), position }),
      isCode('unknown-position'),
      position,
    )
    assert.is(expect(plan, position, true), undefined, position)
    assert.is(stepAt(plan, position), undefined, position)
  }
})

const WRONG_POSITIONS = [
  ...['', '6', '00', '-1', '0 ', '0?', '0!', '0?0', '1', '1?0', '1!0', '2', '2?', '2!', '2?16385', '2!16385'],
  ...[
    '1[then]/1',
    '1[else]/0',
    '1[0]/0',
    '2[then]/0',
    '2[16384]/0',
    '0[0]/0',
    '2[0]/2',
    '2[0]/0/0',
    '5[then]/0',
  ],
]

test('an operand comes from a constant, an input, a leaf of this block, of one around it, or of the loop', () => {
  const x = { kind: 'input', index: 0, name: 'x' }
  const leaf = (place: string, output = 0) => ({ kind: 'leaf', place, output })
  assert.equal(kinds('0'), [x, WEIGHTS_ORIGIN, 'constant'])
  assert.equal(kinds('1[then]/0'), [leaf('0'), x])
  assert.equal(kinds('1!'), [leaf('1[then]/0'), WEIGHTS_ORIGIN])
  assert.equal(kinds('1!', false), [leaf('0'), x])
  assert.equal(kinds('2[1]/0'), [leaf('2?1', 3), leaf('2?1', 1)])
  assert.equal(kinds('2[1]/1'), [leaf('2[1]/0'), leaf('1!', 1)])
  assert.equal(kinds('2?0'), ['constant', 'constant', leaf('0')])
  assert.equal(kinds('2?2'), ['constant', 'constant', leaf('2[1]/0')])
  assert.equal(kinds('2!2'), [leaf('2?2', 3), leaf('2[0]/1'), leaf('2[1]/1')])
  assert.equal(kinds('3[1]/0?0'), ['constant', leaf('3?1', 2), leaf('3?1', 3)])
  assert.equal(kinds('3[1]/0[0]/0'), [leaf('3[1]/0?0', 3), leaf('3?1', 1), leaf('3?1', 4)])
  assert.equal(kinds('3?1'), ['constant', leaf('3?0', 2), leaf('3[0]/0!'), leaf('3[0]/1')])
  assert.equal(kinds('4!0'), [leaf('4?0', 3)])
  assert.equal(kinds('5'), [leaf('4!'), { kind: 'absent' }, leaf('2!', 1)])
  assert.equal(
    outputOrigins(plan).map(({ name, origin }) => [name, origin]),
    [
      ['y', leaf('5')],
      ['z', leaf('5', 2)],
      ['passed', x],
      ['fixed', outputOrigins(plan)[3]!.origin],
      ['all', leaf('4!', 1)],
    ],
  )
})

const WEIGHTS_ORIGIN = 'constant'

function kinds(position: string, decision = true): unknown[] {
  const expectation = expect(plan, position, decision)
  assert.ok(expectation !== undefined, position)
  return expectation.operands.map((origin) => (origin.kind === 'constant' ? 'constant' : origin))
}

test('what the end of an If must hold depends on its decision', () => {
  assert.is(expect(plan, '1!'), undefined)
  assert.is(deciderOf(plan, '1!'), '1?')
  for (const position of ['0', '1?', '2?0', '2!2', '9'])
    assert.is(deciderOf(plan, position), undefined, position)
})

test('a place leaves out how often a loop ran, and nothing else', () => {
  assert.equal(['7!12', '7[3]/2!0', '7!', '7?3', '7[3]/4'].map(placeOf), [
    '7!',
    '7[3]/2!',
    '7!',
    '7?3',
    '7[3]/4',
  ])
})

test('an honest leaf is never faulty, whatever the plan', () => {
  fc.assert(
    fc.property(fc.nat(), fc.boolean(), (seed, flag) => {
      const random = randomPlan(seed)
      const trace = runToy(random, toyInputs(random, seed, flag))
      fc.pre(trace !== undefined)
      assert.equal(
        walked(random, trace.leaves),
        trace.leaves.map(({ position }) => position),
      )
      const made = new Map<string, Leaf>()
      for (const leaf of trace.leaves) {
        assert.is(examineLeaf(random, leaf), undefined, leaf.position)
        const decider = deciderOf(random, leaf.position)
        const decision = decider === undefined ? undefined : decisionOf(made.get(decider)!)
        const { operands, outputs } = expect(random, leaf.position, decision)!
        assert.equal(
          operands.map((origin) => {
            if (origin.kind === 'absent') return ABSENT
            if (origin.kind === 'constant') return origin.digest
            if (origin.kind === 'input') return trace.inputs[origin.index]
            return made.get(origin.place)!.outputs[origin.output]
          }),
          [...leaf.operands],
          leaf.position,
        )
        assert.equal(
          outputs,
          leaf.outputs.map((digest) => Buffer.compare(digest, ABSENT) !== 0),
          leaf.position,
        )
        made.set(placeOf(leaf.position), leaf)
      }
    }),
    { numRuns: 150 },
  )
})

test('a leaf that its position does not allow is faulty', () => {
  const gemm = leafAt('0')
  const cases: [LeafFault, Leaf][] = [
    ['unknown-position', { ...gemm, position: '99' }],
    ['operator', { ...gemm, operator: other }],
    ['operator', { ...gemm, position: '5' }],
    ['count', { ...gemm, operands: gemm.operands.slice(1) }],
    ['count', { ...gemm, operands: [...gemm.operands, other] }],
    ['count', { ...gemm, outputs: [] }],
    ['count', { ...gemm, outputs: [...gemm.outputs, other] }],
    ['presence', changed('0', 'operands', 1, ABSENT)],
    ['presence', changed('0', 'outputs', 0, ABSENT)],
    ['presence', changed('5', 'operands', 1, other)],
    ['presence', changed('5', 'outputs', 1, other)],
    ['decision', changed('1?', 'outputs', 0, other)],
    ['decision', changed('1?', 'outputs', 0, FALSE_DIGEST)],
    ['passage', changed('1!', 'outputs', 0, other)],
    ['decision', changed('2?0', 'outputs', 0, other)],
    ['iteration', changed('2?1', 'outputs', 1, digestValue(iterationValue(0)))],
    ['iteration', changed('2?1', 'outputs', 1, digestValue(iterationValue(1, 1)))],
    ['decision', changed('2?1', 'outputs', 2, TRUE_DIGEST)],
    ['decision', changed('2?1', 'outputs', 2, digestValue(flagValue(false, 1)))],
    ['passage', changed('2?1', 'outputs', 3, other)],
    ['passage', changed('2!2', 'outputs', 0, other)],
    ['count', { ...leafAt('2!2'), position: '2!3' }],
    ['count', { ...leafAt('2!2'), position: '2!1' }],
    ['iteration', { ...leafAt('2?2'), position: '2?1' }],
  ]
  for (const [fault, leaf] of cases) assert.is(examineLeaf(plan, leaf), fault, `${fault} at ${leaf.position}`)
})

test('what only inputs or other leaves can tell is no fault of a leaf', () => {
  const kept: Leaf[] = [
    changed('0', 'operands', 0, other),
    changed('0', 'outputs', 0, other),
    changed('1?', 'operands', 0, other),
    // Whether a loop goes on depends on its trip count.
    changed('2?1', 'outputs', 0, FALSE_DIGEST),
    changed('2!2', 'outputs', 1, other),
  ]
  for (const leaf of kept) assert.is(examineLeaf(plan, leaf), undefined, leaf.position)
})

test('without a trip count a loop goes on exactly while its condition holds', () => {
  const open = createPlan({
    inputs: ['x', 'flag'],
    outputs: [{ name: 'y', source: from(0) }],
    blocks: [
      { steps: [loopStep(1, [ABSENT_SOURCE, input(1), input(0)])], outputs: [] },
      { steps: [operator('Not', [carried(1)])], outputs: [from(0), carried(2)] },
    ],
  })
  const decide = (condition: boolean, decision: boolean, position = '0?0'): Leaf => ({
    position,
    operator: open.blocks[0]!.steps[0]!.digest,
    operands: [ABSENT, flagDigest(condition), other],
    outputs: [
      flagDigest(decision),
      digestValue(iterationValue(position === '0?0' ? 0 : 16_384)),
      digestValue(flagValue(condition, 1)),
      other,
    ],
  })
  assert.is(examineLeaf(open, decide(true, true)), undefined)
  assert.is(examineLeaf(open, decide(false, false)), undefined)
  assert.is(examineLeaf(open, decide(true, false)), 'decision')
  assert.is(examineLeaf(open, decide(false, true)), 'decision')
  assert.is(examineLeaf(open, decide(false, false, '0?16384')), undefined)
  assert.is(examineLeaf(open, decide(true, true, '0?16384')), 'decision')
})

test('a hostile position costs no more than its leaf', () => {
  const wide = createPlan({
    inputs: ['x', 'flag'],
    outputs: [{ name: 'y', source: from(0) }],
    blocks: [
      { steps: [loopStep(1, [TWO, YES], { scans: 2000 })], outputs: [] },
      { steps: [], outputs: [YES, ...Array.from({ length: 2000 }, () => carried(0))] },
    ],
  })
  const small = { ...leafAt('0'), operator: wide.blocks[0]!.steps[0]!.digest, position: '0!16384' }
  const begin = process.cpuUsage()
  for (let round = 0; round < 1000; round++) assert.is(examineLeaf(wide, small), 'count')
  const { user } = process.cpuUsage(begin)
  assert.ok(user < 500_000, `${user} us`)
  assert.is(expect(wide, '0!16384'), undefined)
})

test('4,000 leaves are walked in some milliseconds', () => {
  const many = createPlan({
    inputs: ['x', 'flag'],
    outputs: [{ name: 'y', source: from(0) }],
    blocks: [
      {
        steps: Array.from({ length: 4000 }, (_step, at) =>
          operator('Add', [at === 0 ? input(0) : from(at - 1), input(0)]),
        ),
        outputs: [],
      },
    ],
  })
  const { leaves } = runToy(many, toyInputs(many), { leavesMax: 4000 })!
  walked(many, leaves)
  const begin = process.cpuUsage()
  assert.is(walked(many, leaves).length, 4000)
  for (const leaf of leaves) examineLeaf(many, leaf)
  const { user } = process.cpuUsage(begin)
  assert.ok(user < 200_000, `${user} us`)
})

test('an If in a branch, eight deep, is still found; nine deep is not', () => {
  const position = (depth: number) => `${'0[then]/'.repeat(depth)}0?`
  const nested = deep(8)
  assert.is(stepAt(nested, position(7))?.kind, 'if')
  assert.is(stepAt(nested, position(8)), undefined)
  assert.throws(() => deep(10))
})

function deep(levels: number): Plan {
  return createPlan({
    inputs: ['x', 'flag'],
    outputs: [{ name: 'y', source: input(0) }],
    // Blocks in the order in which they are met: 2k + 1 the branch that goes deeper, 2k + 2 the other.
    blocks: [
      { steps: [ifStep(input(1), 1, 2)], outputs: [] },
      ...Array.from({ length: levels - 1 }, (_none, level) => [
        { steps: [ifStep(input(1), 2 * level + 3, 2 * level + 4)], outputs: [input(0)] },
        { steps: [], outputs: [input(0)] },
      ]).flat(),
      { steps: [], outputs: [input(0)] },
      { steps: [], outputs: [input(0)] },
    ],
  })
}

/** The positions that the plan gives, one after the other, when each leaf decides as it says. */
function walked(of: Plan, leaves: readonly Leaf[]): string[] {
  const positions: string[] = []
  let position = firstPosition(of)
  for (const leaf of leaves) {
    if (position === undefined) break
    positions.push(position)
    position = nextPosition(of, { ...leaf, position })
  }
  assert.is(position, undefined)
  return positions
}

test.run()

import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Plan } from '../../models/plan/index.ts'
import { decodeTensors } from '../../models/tensor/index.ts'
import {
  ABSENT,
  digestValue,
  encodeLeaf,
  flagValue,
  iterationValue,
  type Leaf,
  type Value,
} from '../../models/trace/index.ts'
import {
  examineOutputs,
  examineTrace,
  findDivergence,
  type Judgement,
  judge,
  type Party,
  type Settlement,
  settle,
} from '../../src/verification/index.ts'
import {
  runToy,
  type ToyLies,
  type ToyTrace,
  toyInputs,
  toyOperands,
  toyRunStep,
} from '../fixtures/toy-execution.ts'
import { generator, randomPlan, toyPlan, toyValue } from '../fixtures/toy-plans.ts'

const plan = toyPlan()
const INPUTS = toyInputs(plan)
const honest = run()
const strange = digestValue(toyValue('strange'))
const lying = (values: (Value | undefined)[]) => values.with(0, toyValue('a lie'))

/** A run of the plan above, honest but for some lies. */
function run(lies: ToyLies = {}, inputs = INPUTS): ToyTrace {
  return runToy(plan, inputs, { lies })!
}

function partyOf(trace: Pick<ToyTrace, 'leaves' | 'outputs'>): Party {
  return {
    leaves: trace.leaves.map(encodeLeaf),
    outputs: decodeTensors(trace.outputs).map((tensor) => ({
      name: tensor.name,
      digest: digestValue(tensor),
    })),
  }
}

/** The dispute to its end, and the same with the seats swapped. */
async function dispute(
  left: ToyTrace,
  right: ToyTrace,
  of: Plan = plan,
): Promise<{ divergence: number | undefined; left: Settlement; right: Settlement }> {
  const { inputs } = honestRun(of, left)
  const parties = [partyOf(left), partyOf(right)] as const
  const there = judge({ plan: of, inputs, left: parties[0], right: parties[1] })
  const back = judge({ plan: of, inputs, left: parties[1], right: parties[0] })
  assert.equal(back, { divergence: there.divergence, left: there.right, right: there.left })
  return {
    divergence: there.divergence,
    left: settle(there.left, await rerun(of, left, there.left)),
    right: settle(there.right, await rerun(of, right, there.right)),
  }
}

/** The inputs are the receipt's, whatever a party ran. */
function honestRun(of: Plan, { inputs }: ToyTrace): Pick<ToyTrace, 'inputs'> {
  return of === plan ? honest : { inputs }
}

async function rerun(
  of: Plan,
  trace: ToyTrace,
  judgement: Judgement,
): Promise<readonly Uint8Array[] | undefined> {
  if (judgement.status !== 'needs-execution') return undefined
  const { index, position, operands } = judgement
  const payload = toyOperands(trace, trace.leaves[index]!)
  return (await toyRunStep(of)(position, operands, payload, new AbortController().signal)).outputs
}

const indexOf = (position: string, { leaves }: Pick<ToyTrace, 'leaves'> = honest) =>
  leaves.findIndex((leaf) => leaf.position === position)

test('two honest traces do not part, and nobody is guilty', async () => {
  assert.equal(await dispute(honest, run()), {
    divergence: undefined,
    left: { status: 'clear' },
    right: { status: 'clear' },
  })
})

test('an honest trace has no violation, whatever the plan', () => {
  fc.assert(
    fc.property(fc.nat(), fc.boolean(), (seed, flag) => {
      const random = randomPlan(seed)
      const trace = runToy(random, toyInputs(random, seed, flag))
      fc.pre(trace !== undefined)
      const { leaves, outputs } = partyOf(trace)
      assert.is(examineTrace(random, leaves, trace.inputs), undefined)
      assert.is(examineOutputs(random, leaves, trace.inputs, outputs), undefined)
    }),
    { numRuns: 150 },
  )
})

test('a lie at any step of any plan is pinned to that step, and the honest party is cleared', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.nat(), fc.boolean(), async (seed, choice, flag) => {
      const random = randomPlan(seed)
      const inputs = toyInputs(random, seed, flag)
      const truth = runToy(random, inputs)
      fc.pre(truth !== undefined)
      const index = choice % truth.leaves.length
      const { position, outputs } = truth.leaves[index]!
      const told = outputs.findIndex((digest) => Buffer.compare(digest, ABSENT) !== 0)
      fc.pre(told >= 0)
      const liar = runToy(random, inputs, {
        lies: {
          [position]: { outputs: (values) => values.with(told, flagValue(values[told]?.data[0] === 0)) },
        },
      })
      fc.pre(liar !== undefined)
      const { divergence, left, right } = await dispute(liar, truth, random)
      assert.is(divergence, index)
      assert.is(left.status, 'guilty')
      if (left.status === 'guilty') assert.is('index' in left.violation && left.violation.index, index)
      assert.equal(right, { status: 'clear' })
    }),
    { numRuns: 200 },
  )
})

test('a leaf that was changed and not passed on is pinned too, and never the honest party condemned', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.nat(), async (seed, choice) => {
      const random = randomPlan(seed)
      const truth = runToy(random, toyInputs(random, seed))
      fc.pre(truth !== undefined)
      const below = generator(choice)
      const index = below(truth.leaves.length)
      const leaves = truth.leaves.with(index, tamper(truth.leaves[index]!, below))
      const { divergence, left, right } = await dispute({ ...truth, leaves }, truth, random)
      assert.is(divergence, index)
      assert.is(left.status, 'guilty')
      if (left.status === 'guilty') assert.is('index' in left.violation && left.violation.index, index)
      assert.equal(right, { status: 'clear' })
    }),
    { numRuns: 200 },
  )
})

/** One thing in a leaf changed, such that it is still a leaf. */
function tamper(leaf: Leaf, below: (n: number) => number): Leaf {
  const where = (['operands', 'outputs'] as const)[below(2)]!
  const at = below(Math.max(1, leaf[where].length))
  switch (below(5)) {
    case 0:
      return { ...leaf, position: `${leaf.position}1` }
    case 1:
      return { ...leaf, operator: strange }
    case 2:
      return { ...leaf, [where]: [...leaf[where], strange] }
    default:
      return leaf[where].length === 0
        ? { ...leaf, operator: strange }
        : {
            ...leaf,
            [where]: leaf[where].with(at, below(3) === 0 && !isAbsent(leaf[where][at]!) ? ABSENT : strange),
          }
  }
}

function isAbsent(digest: Uint8Array): boolean {
  return Buffer.compare(digest, ABSENT) === 0
}

const LIES: Record<string, { position: string; lies: ToyLies; kind: 'shape' | 'wiring' | 'execution' }> = {
  'in the first step': { position: '0', lies: { 0: { outputs: lying } }, kind: 'execution' },
  'in the last step': { position: '5', lies: { 5: { outputs: lying } }, kind: 'execution' },
  'the wrong branch of an If': {
    position: '1?',
    lies: { '1?': { outputs: () => [flagValue(false)] } },
    kind: 'shape',
  },
  'a decision that is none': { position: '1?', lies: { '1?': { outputs: lying } }, kind: 'shape' },
  'in a branch': { position: '1[then]/0', lies: { '1[then]/0': { outputs: lying } }, kind: 'execution' },
  'in the end of an If': { position: '1!', lies: { '1!': { outputs: lying } }, kind: 'shape' },
  'in an iteration': { position: '2[1]/0', lies: { '2[1]/0': { outputs: lying } }, kind: 'execution' },
  'in an iteration of a loop in a loop': {
    position: '3[1]/0[1]/0',
    lies: { '3[1]/0[1]/0': { outputs: lying } },
    kind: 'execution',
  },
  'a loop that ends too early': {
    position: '2?1',
    lies: { '2?1': { outputs: (values) => values.with(0, flagValue(false)) } },
    kind: 'execution',
  },
  'a loop that goes on too long': {
    position: '2?2',
    lies: { '2?2': { outputs: (values) => values.with(0, flagValue(true)) } },
    kind: 'execution',
  },
  'a loop that runs although its trip count is nought': {
    position: '4?0',
    lies: { '4?0': { outputs: (values) => values.with(0, flagValue(true)) } },
    kind: 'execution',
  },
  'a trip count that is not the model’s': {
    position: '2?1',
    lies: { '2?1': { operands: (digests) => digests.with(0, digestValue(iterationValue(0))) } },
    kind: 'wiring',
  },
  'the number of an iteration': {
    position: '2?1',
    lies: { '2?1': { outputs: (values) => values.with(1, iterationValue(0)) } },
    kind: 'shape',
  },
  'a carried value that changes on the way into the body': {
    position: '2?1',
    lies: { '2?1': { outputs: (values) => values.with(3, toyValue('a lie')) } },
    kind: 'shape',
  },
  'a carried value that is not what the body gave': {
    position: '2?1',
    lies: {
      '2?1': {
        operands: (digests) => digests.with(2, strange),
        outputs: (values) => values.with(3, toyValue('strange')),
      },
    },
    kind: 'wiring',
  },
  'a carried value at the end of a loop': {
    position: '2!2',
    lies: { '2!2': { outputs: (values) => values.with(0, toyValue('a lie')) } },
    kind: 'shape',
  },
  'a scan output': {
    position: '2!2',
    lies: { '2!2': { outputs: (values) => values.with(1, toyValue('a lie')) } },
    kind: 'execution',
  },
  'elements of a scan in another order': {
    position: '2!2',
    lies: { '2!2': { operands: ([state, ...elements]) => [state!, ...elements.reverse()] } },
    kind: 'wiring',
  },
  'operands of another step': {
    position: '2[1]/1',
    lies: { '2[1]/1': { operands: (digests) => digests.with(0, honest.leaves[0]!.outputs[0]!) } },
    kind: 'wiring',
  },
  'a value of an iteration before': {
    position: '2[1]/1',
    lies: { '2[1]/1': { operands: (digests) => digests.with(0, at('2[0]/0').outputs[0]!) } },
    kind: 'wiring',
  },
  'a constant that is not the model’s': {
    position: '0',
    lies: { 0: { operands: (digests) => digests.with(1, strange) } },
    kind: 'wiring',
  },
  'a branch that gives another constant': {
    position: '1!',
    lies: {
      '1!': {
        operands: (digests) => digests.with(1, strange),
        outputs: (values) => values.with(1, toyValue('strange')),
      },
    },
    kind: 'wiring',
  },
  'an operand that is left out': {
    position: '0',
    lies: { 0: { operands: (digests) => digests.with(1, ABSENT) } },
    kind: 'shape',
  },
  'an operand that is not left out': {
    position: '5',
    lies: { 5: { operands: (digests) => digests.with(1, strange) } },
    kind: 'shape',
  },
  'an output that is left out': {
    position: '2[1]/0',
    lies: { '2[1]/0': { outputs: () => [undefined] } },
    kind: 'shape',
  },
}

function at(position: string): Leaf {
  return honest.leaves[indexOf(position)]!
}

for (const [what, { position, lies, kind }] of Object.entries(LIES)) {
  test(`catches a lie: ${what}`, async () => {
    const { divergence, left, right } = await dispute(run(lies), honest)
    assert.is(divergence, indexOf(position))
    assert.is(left.status, 'guilty')
    if (left.status !== 'guilty') return
    assert.is(left.violation.kind, kind)
    assert.is('position' in left.violation && left.violation.position, position)
    assert.equal(right, { status: 'clear' })
  })
}

test('inputs other than the receipt’s are wrong wiring', async () => {
  const { left, right } = await dispute(run({}, toyInputs(plan, 1)), honest)
  assert.equal(left, {
    status: 'guilty',
    violation: {
      kind: 'wiring',
      at: 'operand',
      index: 0,
      position: '0',
      operand: 0,
      origin: { kind: 'input', index: 0, name: 'x' },
      leaves: [],
    },
  })
  assert.equal(right, { status: 'clear' })
})

test('a violation names the leaves that show it', () => {
  const { leaves } = partyOf(
    run({ '1!': { operands: (digests) => digests.with(0, strange), outputs: lying } }),
  )
  const passed = examineTrace(plan, leaves, honest.inputs)
  assert.is(passed?.kind, 'shape')
  const wrong = run({
    '1!': {
      operands: (digests) => digests.with(0, strange),
      outputs: (values) => values.with(0, toyValue('strange')),
    },
  })
  const violation = examineTrace(plan, partyOf(wrong).leaves, honest.inputs)
  assert.equal(violation?.leaves, [indexOf('1?'), indexOf('1[then]/0')])
  const looped = run({ 5: { operands: (digests) => digests.with(0, strange) } })
  assert.equal(examineTrace(plan, partyOf(looped).leaves, honest.inputs)?.leaves, [indexOf('4!0')])
})

const ORDERS: Record<string, (leaves: readonly Leaf[]) => readonly Leaf[]> = {
  'no leaf at all': () => [],
  'a last leaf that is missing': (leaves) => leaves.slice(0, -1),
  'a first leaf that is missing': (leaves) => leaves.slice(1),
  'a leaf that is missing inside': (leaves) => leaves.toSpliced(6, 1),
  'a leaf too many': (leaves) => [...leaves, leaves.at(-1)!],
  'a leaf twice': (leaves) => leaves.toSpliced(6, 0, leaves[6]!),
  'two leaves in each other’s place': (leaves) => leaves.with(5, leaves[6]!).with(6, leaves[5]!),
  'an iteration that is missing': (leaves) => leaves.toSpliced(indexOf('2[0]/0'), 3),
  'both branches': (leaves) => leaves.toSpliced(3, 0, { ...leaves[2]!, position: '1[else]/0' }),
}

for (const [what, change] of Object.entries(ORDERS)) {
  test(`catches wrong length or order: ${what}`, async () => {
    const { left, right } = await dispute({ ...honest, leaves: change(honest.leaves) }, honest)
    assert.is(left.status === 'guilty' && left.violation.kind, 'shape')
    assert.equal(right, { status: 'clear' })
  })
}

test('bytes that are no leaf are a violation of shape', () => {
  for (const bytes of [
    new Uint8Array(0),
    Uint8Array.of(255),
    new Uint8Array(100),
    encodeLeaf(honest.leaves[1]!).slice(0, -1),
  ]) {
    const leaves = honest.leaves.map(encodeLeaf).with(1, bytes)
    assert.equal(examineTrace(plan, leaves, honest.inputs), {
      kind: 'shape',
      index: 1,
      fault: 'not-a-leaf',
      leaves: [1],
    })
  }
})

test('a trace is looked at up to the leaf in question, if so asked', () => {
  const { leaves } = partyOf(run({ 5: { operands: (digests) => digests.with(0, strange) } }))
  const last = leaves.length - 1
  assert.is(examineTrace(plan, leaves, honest.inputs, last - 1), undefined)
  assert.is(examineTrace(plan, leaves, honest.inputs, last)?.index, last)
  assert.is(examineTrace(plan, leaves.slice(0, 3), honest.inputs, 1), undefined)
  assert.is(examineTrace(plan, leaves.slice(0, 3), honest.inputs)?.kind, 'shape')
})

test('of two that lie at one step in different ways both are guilty', async () => {
  const other = run({ '2[0]/0': { outputs: (values) => values.with(0, toyValue('another lie')) } })
  const { left, right } = await dispute(run({ '2[0]/0': { outputs: lying } }), other)
  for (const side of [left, right]) {
    assert.equal(side, {
      status: 'guilty',
      violation: { kind: 'execution', index: indexOf('2[0]/0'), position: '2[0]/0' },
    })
  }
})

test('of two that lie at different steps the earlier is guilty, and the later is found by an honest trace', async () => {
  const early = run({ '2[0]/0': { outputs: lying } })
  const late = run({ '2[1]/0': { outputs: lying } })
  const { divergence, left, right } = await dispute(early, late)
  assert.is(divergence, indexOf('2[0]/0'))
  assert.is(left.status, 'guilty')
  assert.equal(right, { status: 'clear' })
  const again = await dispute(late, honest)
  assert.is(again.divergence, indexOf('2[1]/0'))
  assert.is(again.left.status, 'guilty')
  assert.equal(again.right, { status: 'clear' })
})

test('a lie that two share proves nothing for them: where they part one is caught, and the other by an honest trace', async () => {
  const shared = { '1[then]/0': { outputs: lying } }
  const left = run({ ...shared, '3[0]/1': { outputs: (values) => values.with(0, toyValue('more')) } })
  const right = run(shared)
  const first = await dispute(left, right)
  assert.is(first.divergence, indexOf('3[0]/1'))
  assert.is(first.left.status, 'guilty')
  assert.equal(first.right, { status: 'clear' })
  const second = await dispute(right, honest)
  assert.is(second.divergence, indexOf('1[then]/0'))
  assert.is(second.left.status, 'guilty')
  assert.equal(second.right, { status: 'clear' })
})

test('a shared beginning that contradicts itself condemns both, wherever they part', async () => {
  const shared = { 0: { operands: (digests: Uint8Array[]) => digests.with(1, strange) } }
  const { left, right } = await dispute(run(shared), run({ ...shared, 5: { outputs: lying } }))
  for (const side of [left, right]) {
    assert.is(side.status === 'guilty' && 'index' in side.violation && side.violation.index, 0)
  }
})

test('what is wrong further on condemns a party whose step was right, or could not be run', async () => {
  const liar = run({ '2[0]/0': { outputs: lying } })
  const later = run({ 5: { operands: (digests) => digests.with(0, strange) } })
  const { right } = judge({ plan, inputs: honest.inputs, left: partyOf(liar), right: partyOf(later) })
  assert.is(right.status, 'needs-execution')
  for (const rerun of [undefined, at('2[0]/0').outputs]) {
    const settled = settle(right, rerun)
    assert.is(settled.status === 'guilty' && settled.violation.kind, 'wiring')
  }
})

test('a step that could not be run condemns nobody', () => {
  const { left, right } = judge({
    plan,
    inputs: honest.inputs,
    left: partyOf(run({ 0: { outputs: lying } })),
    right: partyOf(honest),
  })
  for (const side of [left, right]) {
    assert.equal(settle(side, undefined), { status: 'undecided', index: 0, position: '0' })
  }
})

test('outputs must be what the trace says, each of them', () => {
  const tensors = decodeTensors(honest.outputs)
  const digests = tensors.map((tensor) => ({ name: tensor.name, digest: digestValue(tensor) }))
  const leaves = honest.leaves.map(encodeLeaf)
  const examine = (outputs: typeof digests | undefined) =>
    examineOutputs(plan, leaves, honest.inputs, outputs)
  assert.is(examine(digests), undefined)
  assert.is(examine(digests.toReversed()), undefined)
  const producers: Record<string, number[]> = {
    y: [leaves.length - 1],
    z: [leaves.length - 1],
    all: [indexOf('4!0')],
  }
  for (const [index, { name }] of plan.outputs.entries()) {
    const lied = digests.map((each) => (each.name === name ? { name, digest: strange } : each))
    assert.equal(
      examine(lied),
      { kind: 'wiring', at: 'output', output: index, leaves: producers[name] ?? [] },
      name,
    )
  }
  const whole = { kind: 'wiring', at: 'output', leaves: [] }
  assert.equal(examine(undefined), whole)
  assert.equal(examine(digests.slice(1)), whole)
  assert.equal(examine([...digests, { name: 'more', digest: strange }]), whole)
  assert.equal(examine(digests.with(0, { name: 'other', digest: digests[0]!.digest })), whole)
})

test('equal traces under different outputs condemn the one whose outputs are not the trace’s', async () => {
  const lied = { ...partyOf(honest), outputs: partyOf(run({ 5: { outputs: lying } })).outputs }
  const { divergence, left, right } = judge({
    plan,
    inputs: honest.inputs,
    left: lied,
    right: partyOf(honest),
  })
  assert.is(divergence, undefined)
  assert.is(left.status, 'guilty')
  assert.equal(right, { status: 'clear' })
})

test('traces part at the first leaf that differs, or where one of them ends', () => {
  const bytes = (...values: number[]) => values.map((value) => Uint8Array.of(value))
  assert.is(findDivergence([], []), undefined)
  assert.is(findDivergence(bytes(1, 2), bytes(1, 2)), undefined)
  assert.is(findDivergence(bytes(1, 2), bytes(1, 3)), 1)
  assert.is(findDivergence(bytes(1), bytes(1, 3)), 1)
  assert.is(findDivergence(bytes(1, 3), bytes(1)), 1)
  assert.is(findDivergence(bytes(), bytes(1)), 0)
  assert.is(findDivergence(bytes(2, 3), bytes(1, 3)), 0)
})

test.run()

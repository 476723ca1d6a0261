import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createPlan, type OperatorStep, type Plan, type Source } from '../../../models/plan/index.ts'
import { createExactExecutor } from '../../../models/runtime/exact-execution.ts'
import { createInterpreter } from '../../../models/runtime/interpreter.ts'
import { RuntimeError } from '../../../models/runtime/runtime.ts'
import { encodeTensors } from '../../../models/tensor/index.ts'
import { decodeLeaf, digestValue, iterationValue, type Value } from '../../../models/trace/index.ts'
import { examineOutputs, examineTrace } from '../../../src/verification/index.ts'
import { createToyMachine, type RandomPlan, randomPlan } from './random-plan.ts'

const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 })

/** A 32-bit generator (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

function setUp(seed: number) {
  const random = randomPlan(createRandom(seed))
  const machine = createToyMachine(random.constants)
  const signature = {
    inputs: random.plan.inputs.map((name) => ({ name, dtype: 'int64' as const, dims: [] })),
    outputs: [],
  }
  const executor = createExactExecutor(random.plan, machine, signature, () => 0)
  const payload = encodeTensors(
    random.inputs.map((value, at) => ({ name: random.plan.inputs[at]!, ...value })),
  )
  return { ...random, machine, executor, payload }
}

test('every trace is what its plan says, whatever the control flow', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const { plan, inputs, executor, payload, machine } = setUp(seed)
      const { leaves, outputs } = executor.trace(payload)
      assert.is(examineTrace(plan, leaves, inputs.map(digestValue)), undefined)
      const given = executor.run(inputs.map((value, at) => ({ name: plan.inputs[at]!, ...value })))
      assert.is(
        Buffer.compare(Buffer.concat(outputs), encodeTensors(given)),
        0,
        'a trace has the outputs of the plain run',
      )
      const digests = given.map(({ name, ...value }) => ({ name, digest: digestValue(value) }))
      assert.is(examineOutputs(plan, leaves, inputs.map(digestValue), digests), undefined)
      assert.is(machine.live.size, 0, 'nothing is left behind')
    }),
    { numRuns: 400 },
  )
})

test('each leaf follows from its own operands', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const { executor, payload, machine } = setUp(seed)
      for (const encoded of executor.trace(payload).leaves.slice(0, 60)) {
        const leaf = decodeLeaf(encoded)
        const operands = new Uint8Array(Buffer.concat(executor.operands(payload, leaf.position)))
        const { outputs } = executor.runStep(leaf.position, leaf.operands, operands)
        assert.equal(outputs.map(hex), leaf.outputs.map(hex), leaf.position)
      }
      assert.is(machine.live.size, 0, 'nothing is left behind')
    }),
    { numRuns: 60 },
  )
})

test('a run that fails anywhere leaves nothing behind', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 0, max: 12 }), (seed, failAfter) => {
      const { executor, payload, machine } = setUp(seed)
      machine.failAfter = failAfter
      try {
        executor.trace(payload)
      } catch (error) {
        assert.match(String(error), /the machine failed/)
      }
      assert.is(machine.live.size, 0)
    }),
  )
})

const digest = new Uint8Array(32).fill(1)
const mix = (operands: Source[], outputs = [true]): OperatorStep => ({
  kind: 'operator',
  domain: '',
  type: 'Mix',
  opset: 17,
  digest,
  operands,
  outputs,
})
const output = (step: number, up = 0): Source => ({ kind: 'step', up, step, output: 0 })

/** Values alive at one time, of a plan with one input. */
function peakOf(plan: Plan, constants: RandomPlan['constants'] = new Map()): number {
  const machine = createToyMachine(constants)
  createInterpreter(plan, machine)([machine.write(iterationValue(5))])
  assert.is(machine.live.size, 0)
  return machine.peak()
}

test('a chain holds two values, however long it is', () => {
  const input: Source = { kind: 'input', index: 0 }
  const steps = [mix([input]), ...Array.from({ length: 99 }, (_, at) => mix([output(at)]))]
  const outputs = [{ name: 'y', source: output(99) }]
  assert.is(peakOf(createPlan({ inputs: ['x'], outputs, blocks: [{ steps, outputs: [] }] })), 2)
})

test('an output that nobody reads is given up at once', () => {
  const input: Source = { kind: 'input', index: 0 }
  const steps = [...Array.from({ length: 50 }, () => mix([input], [true, true])), mix([input])]
  const outputs = [{ name: 'y', source: output(50) }]
  assert.is(peakOf(createPlan({ inputs: ['x'], outputs, blocks: [{ steps, outputs: [] }] })), 3)
})

test('a loop holds what it carries once, not the value it began with', () => {
  const trip = iterationValue(40)
  const constants = new Map([[hex(digestValue(trip)), trip]])
  const body = {
    // Carried, carried again, and what goes on.
    steps: [mix([{ kind: 'carried', up: 0, index: 2 }]), mix([output(0)])],
    outputs: [{ kind: 'carried', up: 0, index: 1 } as const, output(1)],
  }
  const loop = {
    ...mix([{ kind: 'constant', digest: digestValue(trip) }, { kind: 'absent' }, output(0)]),
    kind: 'loop',
    type: 'Loop',
    body: 1,
    carried: 1,
    iterationRank: 0,
    conditionRank: 0,
    scans: [],
  } as const
  const main = { steps: [mix([{ kind: 'input', index: 0 }]), loop], outputs: [] }
  const plan = createPlan({
    inputs: ['x'],
    outputs: [{ name: 'y', source: output(1) }],
    blocks: [main, body],
  })
  // The carried value and what is made of it: the condition only passes through.
  assert.is(peakOf(plan, constants), 2)
})

test('an iteration number that nobody reads is never brought into the machine', () => {
  const trip = iterationValue(40)
  const constants = new Map([[hex(digestValue(trip)), trip]])
  /** A loop whose one step reads what it is given at these indexes. */
  const written = (read: readonly number[]): number => {
    const body = {
      steps: [mix(read.map((index) => ({ kind: 'carried', up: 0, index })))],
      outputs: [{ kind: 'carried', up: 0, index: 1 } as const, output(0)],
    }
    const loop = {
      ...mix([{ kind: 'constant', digest: digestValue(trip) }, { kind: 'absent' }, output(0)]),
      kind: 'loop',
      type: 'Loop',
      body: 1,
      carried: 1,
      iterationRank: 0,
      conditionRank: 0,
      scans: [],
    } as const
    const main = { steps: [mix([{ kind: 'input', index: 0 }]), loop], outputs: [] }
    const outputs = [{ name: 'y', source: output(1) }]
    const plan = createPlan({ inputs: ['x'], outputs, blocks: [main, body] })
    const machine = createToyMachine(constants)
    let count = 0
    const counting = {
      ...machine,
      write: (value: Value) => {
        count++
        return machine.write(value)
      },
    }
    createInterpreter(plan, counting)([machine.write(iterationValue(5))])
    assert.is(machine.live.size, 0)
    return count
  }
  assert.is(written([2]), 0)
  assert.is(written([0, 2]), 40)
  assert.is(written([0, 1, 2]), 80)
})

test('what a loop scanned is given up once it has ended', () => {
  const trip = iterationValue(40)
  const constants = new Map([[hex(digestValue(trip)), trip]])
  const loop = (body: number) =>
    ({
      ...mix([{ kind: 'constant', digest: digestValue(trip) }, { kind: 'absent' }]),
      kind: 'loop',
      type: 'Loop',
      body,
      carried: 0,
      iterationRank: 0,
      conditionRank: 0,
      scans: [{ dtype: 7, dims: [] }],
    }) as const
  const body = {
    steps: [mix([{ kind: 'carried', up: 0, index: 0 }])],
    outputs: [{ kind: 'carried', up: 0, index: 1 } as const, output(0)],
  }
  const main = { steps: [loop(1), loop(2), loop(3)], outputs: [] }
  const outputs = [0, 1, 2].map((step) => ({ name: `y${step}`, source: output(step) }))
  const plan = createPlan({ inputs: ['x'], outputs, blocks: [main, body, body, body] })
  assert.ok(peakOf(plan, constants) < 50, `${peakOf(plan, constants)} values at one time`)
})

test('refuses a step whose operands are not the ones that it names', () => {
  const { executor, payload } = setUp(3)
  const leaf = executor
    .trace(payload)
    .leaves.map(decodeLeaf)
    .find(({ operands }) => operands.length > 0)!
  const good = new Uint8Array(Buffer.concat(executor.operands(payload, leaf.position)))
  executor.runStep(leaf.position, leaf.operands, good)
  const other = encodeTensors([{ name: hex(digestValue(iterationValue(9))), ...iterationValue(9) }])
  const cases: [string, string, readonly Uint8Array[], Uint8Array][] = [
    ['no position', 'x', leaf.operands, good],
    ['an unknown position', '999', leaf.operands, good],
    ['a step that ends', `${leaf.position}!`, leaf.operands, good],
    ['too few operands', leaf.position, leaf.operands.slice(1), good],
    ['too many', leaf.position, [...leaf.operands, leaf.operands[0]!], good],
    ['short digests', leaf.position, leaf.operands.map((one) => one.subarray(1)), good],
    ['what nobody asked for', leaf.position, leaf.operands, other],
    ['no payload', leaf.position, leaf.operands, new Uint8Array(7)],
    ['other operands', leaf.position, leaf.operands.map(() => new Uint8Array(32).fill(9)), good],
  ]
  for (const [what, position, operands, given] of cases) {
    try {
      executor.runStep(position, operands, given)
      assert.unreachable(what)
    } catch (error) {
      assert.instance(error, RuntimeError, what)
      assert.is((error as RuntimeError).code, 'input-mismatch', what)
    }
  }
})

test.run()

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

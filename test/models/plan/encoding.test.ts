import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createPlan,
  decodePlan,
  encodePlan,
  type OperatorStep,
  PLAN_BYTES_MAX,
  type Plan,
  PlanError,
  type PlanErrorCode,
  type Source,
} from '../../../models/plan/index.ts'
import { hashLeaf, merkleRoot } from '../../../models/trace/index.ts'
import {
  ABSENT_SOURCE,
  carried,
  from,
  ifStep,
  input,
  loopStep,
  operator,
  randomPlan,
  toyPlan,
  YES,
} from '../../fixtures/toy-plans.ts'

type Parts = Omit<Plan, 'root'>

const D1 = new Uint8Array(32).fill(0x11)
const D2 = new Uint8Array(32).fill(0x22)
const [H1, H2] = [D1, D2].map((digest) => Buffer.from(digest).toString('hex')) as [string, string]

/** A model that clips its input, and then, of which branch or loop is no matter, once more. */
const GOLDEN_PLAN = createPlan({
  inputs: ['x', 'ok'],
  outputs: [{ name: 'y', source: from(1) }],
  blocks: [
    {
      steps: [
        {
          kind: 'operator',
          domain: '',
          type: 'Clip',
          opset: 17,
          digest: D1,
          operands: [input(0), ABSENT_SOURCE, { kind: 'constant', digest: D2 }],
          outputs: [true],
        },
        { ...ifStep(input(1), 1, 2), opset: 17, digest: D2 },
        {
          ...loopStep(3, [ABSENT_SOURCE, input(1), from(0)], { scans: 1 }),
          opset: 17,
          digest: D1,
          outputs: [false, true],
          scans: [{ dtype: 1, dims: [2, 0] }],
        },
      ],
      outputs: [],
    },
    { steps: [], outputs: [from(0, 0, 1)] },
    { steps: [], outputs: [input(0)] },
    { steps: [], outputs: [carried(1), carried(2), from(0, 0, 1)] },
  ],
})

const GOLDEN = [
  '5d000000', // the head, 93 bytes
  '76657269 6d657368 2f706c61 6e2f3100', // "verimesh/plan/1\0"
  '0200 0100 78 0200 6f6b', // inputs "x", "ok"
  '0100 0100 79 03 00 01000000 0000', // output "y": step 1, output 0
  '04000000', // blocks
  '03000000 0000', // three steps; the main block has no outputs of its own
  '00000000 0100 03 01 00000000 0000', // then: step 0 of the block around
  '00000000 0100 02 0000', // else: input 0
  '00000000 0300 04 00 0100 04 00 0200 03 01 00000000 0000', // body: condition, carried value, step 0 of the block around
  '57000000', // Clip
  `00 0000 0400 436c6970 11000000 ${H1}`,
  `0300 02 0000 00 01 ${H2}`, // input 0, absent, a constant
  '0100 01', // one output, there
  '3b000000', // If
  `01 0000 0200 4966 11000000 ${H2}`,
  '0100 02 0100', // input 1
  '0100 01',
  '01000000 02000000', // blocks 1 and 2
  '5b000000', // Loop
  `02 0000 0400 4c6f6f70 11000000 ${H1}`,
  '0300 00 02 0100 03 00 00000000 0000', // no trip count, input 1, step 0
  '0200 00 01', // the first output is left out
  '03000000 0100 00 01', // block 3, one carried value, a scalar iteration number, a condition of rank 1
  '0100 01 02 0200000000000000 0000000000000000', // one scan output: float32 [2, 0]
]
  .join('')
  .replaceAll(' ', '')

test('has the golden bytes and comes back', () => {
  assert.is(Buffer.from(encodePlan(GOLDEN_PLAN)).toString('hex'), GOLDEN)
  assert.equal(plain(decodePlan(Buffer.from(GOLDEN, 'hex'))), plain(GOLDEN_PLAN))
})

test('the root is that of the tree over the records', () => {
  const bytes = Buffer.from(GOLDEN, 'hex')
  const hashes: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    hashes.push(hashLeaf(bytes.subarray(at + 4, end)))
    at = end
  }
  assert.is(hashes.length, 4)
  assert.equal(new Uint8Array(GOLDEN_PLAN.root), new Uint8Array(merkleRoot(hashes)))
})

test('every plan comes back as it was', () => {
  const plans = [toyPlan(), ...Array.from({ length: 100 }, (_, seed) => randomPlan(seed))]
  for (const plan of plans) {
    const bytes = encodePlan(plan)
    const decoded = decodePlan(bytes)
    assert.equal(plain(decoded), plain(plan))
    assert.equal(encodePlan(decoded), bytes)
  }
})

test('a changed byte is another plan or none', () => {
  const bytes = encodePlan(toyPlan())
  const root = hex(toyPlan().root)
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const mutant = bytes.slice()
      mutant[at] = mutant[at]! ^ change
      try {
        const plan = decodePlan(mutant)
        assert.is.not(hex(plan.root), root)
        assert.equal(encodePlan(plan), mutant)
      } catch (error) {
        if (!(error instanceof PlanError)) throw error
      }
    }),
    { numRuns: 3000 },
  )
})

test('refuses every truncation and every byte more', () => {
  const bytes = encodePlan(toyPlan())
  for (let length = 0; length < bytes.length; length++) {
    refuses(() => decodePlan(bytes.subarray(0, length)), 'malformed', String(length))
  }
  refuses(() => decodePlan(Buffer.concat([bytes, Buffer.alloc(1)])), 'malformed')
  refuses(() => decodePlan(Buffer.concat([bytes, Buffer.alloc(4)])), 'malformed', 'a record of no bytes')
  const [head] = split(bytes)
  refuses(() => decodePlan(join([head!])), 'malformed', 'the head alone')
  refuses(() => decodePlan(new Uint8Array(PLAN_BYTES_MAX + 1)), 'too-large')
})

test('refuses counts that the bytes cannot hold', () => {
  const bytes = Buffer.from(GOLDEN, 'hex')
  const counts = { inputs: 20, 'length of a name': 22, blocks: 42, 'steps of a block': 46 }
  for (const [what, at] of Object.entries(counts)) {
    const mutant = Buffer.from(bytes)
    mutant.writeUInt16LE(0xffff, at)
    refuses(() => decodePlan(mutant), 'malformed', what)
  }
  const mutant = Buffer.from(bytes)
  mutant.writeUInt32LE(0xffff_fff0, 0)
  refuses(() => decodePlan(mutant), 'malformed', 'length of a record')
})

test('refuses plans that contradict themselves', () => {
  const good: Parts = GOLDEN_PLAN
  assert.ok(createPlan(good))
  const [main, yes, no, body] = good.blocks as [Plan['blocks'][0], ...Plan['blocks']]
  const [clip, choice, loop] = main.steps as [OperatorStep, ...Plan['blocks'][0]['steps'][]] as never as [
    OperatorStep,
    Extract<Plan['blocks'][0]['steps'][0], { kind: 'if' }>,
    Extract<Plan['blocks'][0]['steps'][0], { kind: 'loop' }>,
  ]
  const steps = (...changed: Plan['blocks'][0]['steps']): Parts => ({
    ...good,
    blocks: [{ ...main, steps: changed }, ...good.blocks.slice(1)],
  })
  const blocks = (...changed: Plan['blocks']): Parts => ({ ...good, blocks: changed })
  const reading = (source: Source): Parts => steps({ ...clip, operands: [source] }, choice, loop)
  const giving = (source: Source): Parts => ({ ...good, outputs: [{ name: 'y', source }] })
  const wrong: Record<string, Parts> = {
    'no block': { ...good, blocks: [] },
    'a main block with outputs': blocks({ ...main, outputs: [input(0)] }, yes!, no!, body!),
    'a block that no step names': blocks(...good.blocks, no!),
    'a block that is not there': blocks(main, yes!, no!),
    'one block for two branches': steps(clip, { ...choice, elseBlock: 1 }, loop),
    'blocks in another order': steps(clip, { ...choice, thenBlock: 2, elseBlock: 1 }, loop),
    'a block within itself': steps(clip, { ...choice, thenBlock: 0 }, loop),
    'a branch that gives too much': blocks(main, { ...yes!, outputs: [input(0), input(0)] }, no!, body!),
    'a branch that gives nothing': blocks(main, { ...yes!, outputs: [ABSENT_SOURCE] }, no!, body!),
    'a body that gives too little': blocks(main, yes!, no!, { ...body!, outputs: [carried(1), carried(2)] }),
    'an If with two conditions': steps(clip, { ...choice, operands: [input(1), input(1)] }, loop),
    'an If without a condition': steps(clip, { ...choice, operands: [ABSENT_SOURCE] }, loop),
    'a Loop without a place for its condition': steps(clip, choice, {
      ...loop,
      operands: [input(1)],
      carried: 0,
    }),
    'a Loop that carries what it is not given': steps(clip, choice, { ...loop, carried: 2 }),
    'a Loop that is not given what it carries': steps(clip, choice, {
      ...loop,
      operands: [...loop.operands.slice(0, 2), ABSENT_SOURCE],
    }),
    'a Loop with too many outputs': steps(clip, choice, { ...loop, outputs: [true, true, true] }),
    'a scan output of no type': steps(clip, choice, { ...loop, scans: [{ dtype: 13, dims: [] }] }),
    'a scan output of a rank too many': steps(clip, choice, {
      ...loop,
      scans: [{ dtype: 1, dims: Array(16).fill(1) }],
    }),
    'an output at the end that is left out': steps({ ...clip, outputs: [true, false] }, choice, loop),
    'an operator without a type': steps({ ...clip, type: '' }, choice, loop),
    'an operator with a space in its type': steps({ ...clip, type: 'Cl ip' }, choice, loop),
    'an operator with a long domain': steps({ ...clip, domain: 'a'.repeat(129) }, choice, loop),
    'an operator of version 0': steps({ ...clip, opset: 0 }, choice, loop),
    'a digest cut short': steps({ ...clip, digest: D1.subarray(1) }, choice, loop),
    'a step that reads itself': reading(from(0)),
    'a step that reads a later one': reading(from(1)),
    'a step that is not there': reading(from(9)),
    'an output that is not there': giving(from(0, 1)),
    'an output that is left out': giving(from(2, 0)),
    'an input that is not there': reading(input(2)),
    'a constant with a digest cut short': reading({ kind: 'constant', digest: D1.subarray(1) }),
    'a source outside the model': reading(from(0, 0, 1)),
    'a carried value outside a loop': reading(carried(0)),
    'an output that is absent': giving(ABSENT_SOURCE),
    'a body that reads its own Loop': blocks(main, yes!, no!, {
      ...body!,
      outputs: [carried(1), carried(2), from(2, 1, 1)],
    }),
    'a body that reads after its Loop': blocks(
      { ...main, steps: [...main.steps, operator('Neg', [input(0)])] },
      yes!,
      no!,
      { ...body!, outputs: [carried(1), carried(2), from(3, 0, 1)] },
    ),
    'a carried value too many': blocks(main, yes!, no!, {
      ...body!,
      outputs: [carried(1), carried(3), input(0)],
    }),
    'two inputs of one name': { ...good, inputs: ['x', 'x'] },
    'an input without a name': { ...good, inputs: ['x', ''] },
    'an output with a long name': { ...good, outputs: [{ name: 'y'.repeat(257), source: input(0) }] },
    'a name that is no Unicode': { ...good, inputs: ['x', '\ud800'] },
  }
  for (const [what, parts] of Object.entries(wrong)) {
    refuses(() => createPlan(parts), 'malformed', what)
    refuses(() => encodePlan({ ...parts, root: D1 }), 'malformed', what)
  }
})

test('refuses plans larger than a trace can follow', () => {
  const wide = (operands: number, outputs: number): Parts => ({
    inputs: ['x'],
    outputs: [],
    blocks: [
      {
        steps: [
          operator('Concat', Array<Source>(operands).fill(input(0)), Array<boolean>(outputs).fill(true)),
        ],
        outputs: [],
      },
    ],
  })
  assert.ok(createPlan(wide(4096, 4096)))
  refuses(() => createPlan(wide(4097, 1)), 'too-large')
  refuses(() => createPlan(wide(1, 4097)), 'too-large')
  const long = (count: number): Parts => ({
    inputs: ['x'],
    outputs: [],
    blocks: [{ steps: Array(count).fill(operator('Neg', [input(0)])), outputs: [] }],
  })
  refuses(() => createPlan(long(65_537)), 'too-large')
  const deep = (depth: number): Parts => ({
    inputs: ['x'],
    outputs: [],
    blocks: Array.from({ length: 1 + 2 * depth }, (_, index) => {
      // Main, then for each level its two branches, of which the first goes on.
      const level = index === 0 ? 0 : index % 2 === 1 ? (index + 1) / 2 : depth
      const steps = level < depth ? [ifStep(YES, 2 * level + 1, 2 * level + 2)] : []
      return { steps, outputs: index === 0 ? [] : [input(0)] }
    }),
  })
  assert.ok(createPlan(deep(8)))
  refuses(() => createPlan(deep(9)), 'too-large')
})

function split(bytes: Uint8Array): Uint8Array[] {
  const buffer = Buffer.from(bytes)
  const records: Uint8Array[] = []
  for (let at = 0; at < buffer.length; ) {
    const end = at + 4 + buffer.readUInt32LE(at)
    records.push(buffer.subarray(at + 4, end))
    at = end
  }
  return records
}

function join(records: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    records.flatMap((record) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(record.byteLength)
      return [length, record]
    }),
  )
}

/** With every digest as hex: equal bytes in a Buffer and in a Uint8Array are not equal to `assert.equal`. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function refuses(act: () => unknown, code: PlanErrorCode, which?: string): void {
  assert.throws(act, (error: unknown) => error instanceof PlanError && error.code === code, which)
}

test.run()

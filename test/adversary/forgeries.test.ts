import { createHash } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ABSENT, type Leaf } from '../../models/trace/index.ts'
import {
  createRandom,
  FORGERIES,
  type Forgery,
  forgeLastStep,
  forgeMiddleStep,
  forgeOperand,
  honestTrace,
  skipStep,
  swapOperator,
} from '../../src/adversary/index.ts'

function digest(text: string): Uint8Array {
  return createHash('sha256').update(text).digest()
}

/** A chain: each step takes what the one before gave, and a constant. */
const LEAVES: readonly Leaf[] = Array.from({ length: 6 }, (_, step) => ({
  position: String(step),
  operator: digest(`operator ${step}`),
  operands: [digest(`value ${step - 1}`), digest(`constant ${step}`), ABSENT],
  outputs: [digest(`value ${step}`)],
}))
const TRUTH = digest('value 5')
const LIE = digest('a lie')
const LIES = new Map([[Buffer.from(TRUTH).toString('hex'), LIE]])

function forge(forgery: Forgery, seed = 1): readonly Leaf[] {
  return forgery(LEAVES, LIES, createRandom(seed, new Uint8Array()))
}

function changed(forged: readonly Leaf[]): string[] {
  return forged.flatMap((leaf, index) => {
    const honest = LEAVES[index]!
    return (['position', 'operator', 'operands', 'outputs'] as const)
      .filter((field) => JSON.stringify(leaf[field]) !== JSON.stringify(honest[field]))
      .map((field) => `${index} ${field}`)
  })
}

test('every forgery but the honest one ends in the lie', () => {
  for (const forgery of FORGERIES) {
    const last = forge(forgery).at(-1)!
    assert.equal(last.outputs, [forgery === honestTrace ? TRUTH : LIE], forgery.name)
  }
})

test('a forged last step changes nothing else', () => {
  assert.equal(changed(forge(forgeLastStep)), ['5 outputs'])
})

test('a forged step in the middle is wired to what follows', () => {
  for (let seed = 0; seed < 10; seed++) {
    const found = changed(forge(forgeMiddleStep, seed))
    const step = Number(found[0]!.split(' ')[0])
    assert.ok(step < 5, found.join())
    const expected = [`${step} outputs`, `${step + 1} operands`, '5 outputs']
    assert.equal(found, expected)
  }
})

test('a forged operand is the value of another step', () => {
  for (let seed = 0; seed < 10; seed++) {
    const forged = forge(forgeOperand, seed)
    assert.equal(changed(forged), ['5 operands', '5 outputs'])
    const values = LEAVES.flatMap(({ outputs }) => outputs).map(String)
    assert.ok(values.includes(String(forged[5]!.operands[0])))
  }
})

test('a skipped step is gone, and a swapped operator is another', () => {
  assert.is(forge(skipStep).length, 5)
  assert.is(changed(forge(swapOperator)).filter((change) => change.endsWith('operator')).length, 1)
})

test('the same liar forges the same trace for everybody', () => {
  for (const forgery of FORGERIES) assert.equal(forge(forgery, 3), forge(forgery, 3), forgery.name)
})

test.run()

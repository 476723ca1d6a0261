import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Answer,
  composeDecision,
  composeVerdict,
  findCluster,
  isLabelAtLeast,
  VERDICT_LABELS,
  type VerificationError,
} from '../../src/verification/index.ts'

/** Digests are numbers here, and agree when they are at most 1 apart: not transitive, like a tolerance. */
const near = (left: string, right: string) => Math.abs(Number(left) - Number(right)) <= 1
const never = () => false

function answers(...entries: readonly [provider: string, digest: string][]): Answer[] {
  return entries.map(([provider, digest]) => ({ provider, digest, group: provider[0]! }))
}

test('equal digests agree without being compared', () => {
  const cluster = findCluster(answers(['a', '1'], ['b', '1'], ['c', '2']), never)
  assert.equal(cluster?.providers, ['a', 'b'])
})

test('a chain of near neighbours does not merge', () => {
  const cluster = findCluster(answers(['a', '1'], ['b', '2'], ['c', '3'], ['d', '4']), near)
  assert.equal(cluster?.providers, ['a', 'b'])
})

test('the largest clique wins, by providers and not by digests', () => {
  const cluster = findCluster(answers(['a', '1'], ['b', '2'], ['c', '5'], ['d', '5'], ['e', '5']), near)
  assert.equal(cluster?.providers, ['c', 'd', 'e'])
  assert.is(cluster?.digest, '5')
})

test('ties go to the smallest digest', () => {
  assert.is(findCluster(answers(['z', '3'], ['y', '1'], ['x', '2']), never)?.digest, '1')
})

test('the digest that most providers share stands for the cluster', () => {
  assert.is(findCluster(answers(['a', '1'], ['b', '2'], ['c', '2']), near)?.digest, '2')
})

test('an answer given twice counts once', () => {
  const cluster = findCluster(answers(['a', '1'], ['a', '1'], ['a', '1'], ['b', '5'], ['c', '5']), near)
  assert.equal(cluster?.providers, ['b', 'c'])
})

test('a provider with two different answers counts for none', () => {
  const given = answers(['a', '1'], ['a', '2'], ['b', '1'])
  assert.equal(findCluster(given, near)?.providers, ['b'])
  const verdict = composeVerdict({ answers: given, agrees: near, asked: 2, replicas: 3 })
  assert.equal(verdict?.disagreed, ['a'])
})

test('an anchor restricts to what agrees with it', () => {
  const given = answers(['a', '1'], ['b', '5'], ['c', '5'], ['d', '2'])
  assert.equal(findCluster(given, near, '1')?.providers, ['a', 'd'])
  assert.is(findCluster(given, near, '9'), undefined)
})

test('no answers, no verdict', () => {
  assert.is(findCluster([], near), undefined)
  assert.is(composeVerdict({ answers: [], agrees: near, asked: 3, replicas: 3 }), undefined)
})

test('more different answers than can be compared are refused', () => {
  const many = Array.from({ length: 17 }, (_, index) => ({
    provider: `p${index}`,
    group: 'g',
    digest: `${index}`,
  }))
  try {
    findCluster(many, near)
    assert.unreachable()
  } catch (error) {
    assert.is((error as VerificationError).code, 'too-many-answers')
  }
  assert.instance(findCluster(many.slice(1), near), Object)
})

test('one replica is only signed, however many were asked in vain', () => {
  const verdict = composeVerdict({ answers: answers(['a', '1']), agrees: near, asked: 4, replicas: 1 })
  assert.equal(verdict, { label: 'signed', agreed: ['a'], disagreed: [], asked: 4, groups: 1 })
})

test('groups are counted among those who agree', () => {
  const given = answers(['a1', '1'], ['a2', '1'], ['b1', '1'], ['c1', '9'])
  const verdict = composeVerdict({ answers: given, agrees: near, asked: 5, replicas: 5 })
  assert.equal(verdict, {
    label: 'replicated',
    agreed: ['a1', 'a2', 'b1'],
    disagreed: ['c1'],
    asked: 5,
    groups: 2,
  })
})

test('where a run decided, nobody is counted: sides are sorted, and groups are those that agreed', () => {
  const agreed = answers(['b1', '1'], ['a1', '2'], ['a2', '9'])
  const disagreed = answers(['d', '1'], ['c', '1'])
  const decision = { label: 'refereed', agreed, disagreed, asked: 6 } as const
  const expected = {
    label: 'refereed',
    agreed: ['a1', 'a2', 'b1'],
    disagreed: ['c', 'd'],
    asked: 6,
    groups: 2,
  }
  assert.equal(composeDecision(decision), expected)
  const reversed = { ...decision, agreed: agreed.toReversed(), disagreed: disagreed.toReversed() }
  assert.equal(composeDecision(reversed), expected)
  const alone = composeDecision({ label: 'recomputed', agreed: [], disagreed, asked: 2 })
  assert.equal([alone.agreed, alone.groups], [[], 0])
})

test('labels are ordered by what they rest on, weakest first', () => {
  assert.equal(VERDICT_LABELS, ['signed', 'replicated', 'refereed', 'recomputed'])
  for (const [i, label] of VERDICT_LABELS.entries()) {
    for (const [j, least] of VERDICT_LABELS.entries()) assert.is(isLabelAtLeast(label, least), i >= j)
  }
})

const arbitraryAnswers = fc.array(
  fc.record({
    provider: fc.constantFrom(...'abcdefghij'),
    group: fc.constantFrom('g', 'h'),
    digest: fc.integer({ min: 0, max: 12 }).map(String),
  }),
  { minLength: 1, maxLength: 12 },
)

test('the verdict does not depend on the order of arrival', () => {
  const shuffled = arbitraryAnswers
    .map((given) => given.map((answer) => ({ ...answer, group: answer.provider < 'e' ? 'g' : 'h' })))
    .chain((given) =>
      fc.tuple(
        fc.constant(given),
        fc.shuffledSubarray(given, { minLength: given.length, maxLength: given.length }),
      ),
    )
  fc.assert(
    fc.property(shuffled, ([given, other]) => {
      const input = { agrees: near, asked: 9, replicas: 3 }
      assert.equal(composeVerdict({ ...input, answers: given }), composeVerdict({ ...input, answers: other }))
      assert.equal(findCluster(given, near), findCluster(other, near))
    }),
    { numRuns: 500 },
  )
})

test('the cluster is a clique, and no clique is larger', () => {
  const pairs = fc.array(fc.boolean(), { minLength: 64, maxLength: 64 })
  const digests = fc.uniqueArray(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(digests, pairs, (numbers, related) => {
      const agrees = (left: string, right: string) => {
        const [low, high] = [Number(left), Number(right)].sort((a, b) => a - b)
        return related[low! * 8 + high!]!
      }
      const given = numbers.map((number) => ({ provider: `p${number}`, group: 'g', digest: `${number}` }))
      const isClique = (members: readonly string[]) =>
        members.every((a, i) => members.every((b, j) => i <= j || agrees(a, b)))
      const cluster = findCluster(given, agrees)!
      assert.ok(isClique(cluster.digests))
      // The naive reference: every subset.
      let largest = 0
      for (let mask = 1; mask < 1 << given.length; mask++) {
        const members = given.filter((_, index) => mask & (1 << index)).map(({ digest }) => digest)
        if (isClique(members)) largest = Math.max(largest, members.length)
      }
      assert.is(cluster.providers.length, largest)
    }),
  )
})

test.run()

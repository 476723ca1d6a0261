import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Manifest } from '../../models/manifest/index.ts'
import { float32Tensor } from '../../models/tensor/index.ts'
import { JobError, type SubmitRequest } from '../../src/node/index.ts'
import { verifyTerms } from '../../src/node/terms.ts'

const MANIFEST: Manifest = {
  verimesh: 1,
  name: 'tiny',
  model: 'm.onnx',
  files: [{ path: 'm.onnx', bytes: 1, sha256: '0'.repeat(64) }],
  signature: {
    inputs: [{ name: 'x', dtype: 'float32', dims: ['n'] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['n'] }],
  },
  lanes: ['native', 'exact'],
  tolerance: { tau: 5e-5 },
  batching: { independent: false },
  plan: { root: 'ab'.repeat(32) } as NonNullable<Manifest['plan']>,
}
const { plan: _, ...UNPLANNED } = MANIFEST

function terms(request: Partial<SubmitRequest>, manifest: Manifest = MANIFEST, canRecompute = true) {
  return verifyTerms(
    { model: 'm', inputs: [float32Tensor('x', [1], new Float32Array(1))], ...request },
    manifest,
    canRecompute,
  )
}

function refusal(request: Partial<SubmitRequest>): string {
  try {
    terms(request)
  } catch (error) {
    if (error instanceof JobError && error.failure.code === 'invalid-job') return error.message
    throw error
  }
  throw new Error(`it was taken: ${JSON.stringify(request)}`)
}

test('what providers are told of a job with a risk is what they are told of one without', () => {
  const cases: [manifest: Manifest, canRecompute: boolean][] = [
    [MANIFEST, true],
    [MANIFEST, false],
    [UNPLANNED, true],
    [UNPLANNED, false],
  ]
  for (const [manifest, canRecompute] of cases) {
    for (const publicDisputes of [false, true]) {
      const plain = terms({ publicDisputes }, manifest, canRecompute)
      for (const risk of [0.5, 1e-6]) {
        const doubt = terms({ publicDisputes, risk }, manifest, canRecompute)
        assert.equal(doubt.policy, plain.policy, `${canRecompute}`)
        assert.is(doubt.referee, plain.referee)
      }
    }
  }
})

test('with a risk one is asked at first, up to sixteen, and the referee needs a plan and the model', () => {
  const { replicas, quorum, attemptsMax, referee, doubt } = terms({ risk: 0.01 })
  assert.equal([replicas, quorum, attemptsMax, referee], [1, 1, 16, true])
  assert.equal(doubt, { risk: 0.01, floorRate: 0.03 })
  assert.is(terms({ risk: 0.01 }, MANIFEST, false).referee, false)
  assert.is(terms({ risk: 0.01 }, UNPLANNED).referee, false)
})

test('the value divides the risk', () => {
  assert.equal(terms({ risk: 0.01, value: 4, floorRate: 0.2 }).doubt, { risk: 0.0025, floorRate: 0.2 })
})

test('a risk decides alone: a policy, replicas or a quorum beside it are refused by name', () => {
  assert.match(refusal({ risk: 0.01, policy: 'referee' }), /leave out policy, or the risk/)
  assert.match(refusal({ risk: 0.01, replicas: 3, quorum: 2 }), /leave out replicas and quorum, or the risk/)
})

test('what is no risk, value or floor rate is refused with what it should be', () => {
  for (const risk of [0, 1, -0.1, 1.5, Number.NaN, '0.1' as unknown as number])
    assert.match(refusal({ risk }), /probability between 0 and 1/, `${risk}`)
  for (const value of [0, 0.5, -1, Number.NaN, Number.POSITIVE_INFINITY])
    assert.match(refusal({ risk: 0.1, value }), /a value is from 1/, `${value}`)
  for (const floorRate of [-0.1, 1.1, Number.NaN])
    assert.match(refusal({ risk: 0.1, floorRate }), /a floor rate is a share from 0 to 1/, `${floorRate}`)
  assert.match(refusal({ value: 2 }), /give a risk/)
  assert.match(refusal({ floorRate: 0.1 }), /give a risk/)
})

test('a referee with one replica, who has nobody to disagree with, is refused', () => {
  assert.match(refusal({ policy: 'referee', replicas: 1 }), /takes 2 replicas at least; got 1/)
  assert.is(terms({ replicas: 1 }).referee, false)
})

test('a class of instructions is a short text', () => {
  assert.is(terms({ instructionSet: 'x64-avx2' }).instructionSet, 'x64-avx2')
  for (const instructionSet of ['', 'x'.repeat(65), 7 as unknown as string])
    assert.match(refusal({ instructionSet }), /class of instructions/)
})

test('without a risk nothing has changed', () => {
  const { replicas, quorum, attemptsMax, referee, doubt } = terms({})
  assert.equal([replicas, quorum, attemptsMax, referee, doubt], [2, 2, 8, true, undefined])
  const counted = terms({ replicas: 15 }, MANIFEST, false)
  assert.equal([counted.quorum, counted.attemptsMax, counted.policy.replicas], [8, 16, 15])
})

test.run()

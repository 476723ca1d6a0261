import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createRandom } from '../../src/routing/index.ts'
import { createNetwork, type NetworkModel } from '../../src/simulator/network.ts'

const PLAIN: NetworkModel = {
  latencyMs: 40,
  latencySigma: 0,
  loss: 0,
  retransmitMs: 200,
  bandwidthBytesPerMs: 0,
  partitions: [],
}

function network(changes: Partial<NetworkModel> = {}) {
  return createNetwork({ ...PLAIN, ...changes }, createRandom(1))
}

test('a message takes the distance of both ends, and what its bytes take', () => {
  assert.is(network().delayMs(0, 1, 1000, 0), 40)
  assert.is(network({ bandwidthBytesPerMs: 100 }).delayMs(0, 1, 1000, 0), 50)
})

test('each node keeps its distance, whoever was asked about first', () => {
  const [one, other] = [network({ latencySigma: 1 }), network({ latencySigma: 1 })]
  const far = other.delayMs(7, 3, 0, 0)
  assert.is(one.delayMs(0, 1, 0, 0), other.delayMs(0, 1, 0, 0))
  assert.is(one.delayMs(3, 7, 0, 0), far)
})

test('a matrix of regions replaces the distance', () => {
  const regions = network({
    latencyMatrixMs: [
      [1, 80],
      [90, 2],
    ],
  })
  assert.is(regions.delayMs(0, 2, 0, 0), 1)
  assert.is(regions.delayMs(0, 3, 0, 0), 80)
  assert.is(regions.delayMs(1, 2, 0, 0), 90)
})

test('a lost packet comes later, and a dead connection not at all', () => {
  const lossy = network({ loss: 0.5 })
  const delays = Array.from({ length: 2000 }, () => lossy.delayMs(0, 1, 0, 0))
  const first = delays.filter((delay) => delay === 40).length
  assert.ok(first > 900 && first < 1100, `${first} of 2000 arrived at once (seed 1)`)
  assert.ok(delays.includes(240))
  assert.ok(network({ loss: 1 }).delayMs(0, 1, 0, 0) === undefined)
})

test('between the sides of a partition nothing passes while it lasts', () => {
  const split = network({ partitions: [{ fromMs: 100, untilMs: 200, sides: 2 }] })
  assert.is(split.delayMs(0, 1, 0, 99), 40)
  assert.is(split.delayMs(0, 1, 0, 100), undefined)
  assert.is(split.delayMs(0, 2, 0, 100), 40)
  assert.is(split.delayMs(0, 1, 0, 200), 40)
})

test.run()

/** When a node tells of the proofs that it stands for. The network is a list here, time is turned by hand. */
import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Exposure } from '../../peers/fraud/index.ts'
import { Teller } from '../../peers/fraud/teller.ts'
import { decodeFraudNotice } from '../../protocols/fraud/index.ts'
import { MODEL } from '../fixtures/jobs.ts'
import { createManualClock } from '../fixtures/manual-clock.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'

const key = (seed: number) => seededSigner(seed).peerId
const exposure = (seed: number, origin: Exposure['origin'] = 'gossip'): Exposure => ({
  accused: key(seed),
  id: seed.toString(16).padStart(64, '0'),
  kind: 'shape',
  model: MODEL,
  jobId: 'job',
  publishable: true,
  bytes: 10,
  foundAtMs: seed,
  origin,
})

/** A teller of `exposures` with two listeners, of whom some may not be reachable yet. */
function scene(exposures: Exposure[]) {
  const { now, schedule, advance } = createManualClock()
  const listeners: PeerId[] = [peerIdFromString(key(100))]
  const told: { readonly seed: number; readonly atMs: number }[] = []
  const teller = new Teller({
    publish: async (bytes) => {
      const { accused } = decodeFraudNotice(bytes)
      told.push({ seed: exposures.findIndex((one) => one.accused === accused) + 1, atMs: now() })
      return [...listeners]
    },
    tellable: () => exposures,
    clock: { now, after: (delayMs, task) => schedule(task, delayMs) },
    random: () => 0.5,
    log: { debug() {}, info() {}, warn: (message) => assert.unreachable(message) },
  })
  /** Time moves on in small steps, and what is due happens. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 10) {
      advance(10)
      await new Promise(setImmediate)
    }
  }
  return { teller, told, listeners, pass, seeds: () => told.map(({ seed }) => seed) }
}

test('what is new is told at once, and then one after the other on the heartbeat', async () => {
  const { teller, told, pass, seeds } = scene([exposure(1), exposure(2), exposure(3)])
  teller.tell(key(2))
  await pass(100)
  assert.equal(seeds(), [2])
  await pass(29_000)
  assert.equal(seeds(), [2])
  await pass(100_000)
  assert.equal(seeds(), [2, 3, 1, 2, 3])
  assert.ok(told.every(({ atMs }, index) => index === 0 || atMs - told[index - 1]!.atMs >= 30_000))
  teller.stop()
  await pass(100_000)
  assert.is(told.length, 5)
})

test('a newcomer is told some of it, first what this node proved itself', async () => {
  const exposures = Array.from({ length: 20 }, (_, index) =>
    exposure(index + 1, index === 12 ? 'own' : 'gossip'),
  )
  const { teller, listeners, pass, seeds } = scene(exposures)
  const newcomer = peerIdFromString(key(101))
  listeners.push(newcomer)
  teller.subscribed(newcomer)
  await pass(1_000)
  assert.is(seeds().length, 6)
  assert.is(seeds()[0], 13)
  assert.is(new Set(seeds()).size, 6)
})

test('a newcomer that cannot be reached yet is tried again, and given up in the end', async () => {
  const { teller, listeners, pass, seeds } = scene([exposure(1), exposure(2)])
  const newcomer = peerIdFromString(key(101))
  teller.subscribed(newcomer)
  await pass(200)
  const tries = seeds().length
  assert.ok(tries >= 2)
  listeners.push(newcomer)
  await pass(3_000)
  assert.equal(new Set(seeds().slice(tries)), new Set([1, 2]), 'both reach it')
  const before = seeds().length
  listeners.pop()
  teller.subscribed(newcomer)
  await pass(25_000)
  assert.ok(seeds().length - before <= 8, `${seeds().length - before} tries`)
})

test('what it tells is bounded, however many come and go', async () => {
  const { teller, listeners, pass, seeds } = scene(
    Array.from({ length: 40 }, (_, index) => exposure(index + 1)),
  )
  for (let seed = 101; seed < 160; seed++) {
    const newcomer = peerIdFromString(key(seed))
    listeners.push(newcomer)
    teller.subscribed(newcomer)
    await pass(200)
  }
  // 16 at once and one in two seconds.
  assert.ok(seeds().length <= 16 + 6, `${seeds().length} in 12 s`)
})

test('who has nothing to tell says nothing, and what may not be told any more is not', async () => {
  const exposures: Exposure[] = []
  const { teller, pass, seeds } = scene(exposures)
  teller.tell(key(1))
  await pass(60_000)
  assert.equal(seeds(), [])
})

test.run()

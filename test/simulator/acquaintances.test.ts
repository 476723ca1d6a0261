import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createLedger, REPUTATION_PARAMS } from '../../peers/reputation/index.ts'
import { createRandom } from '../../src/routing/index.ts'
import { createAcquaintances } from '../../src/simulator/acquaintances.ts'
import type { Board, SimProvider } from '../../src/simulator/provider.ts'

const MODEL = 'm'

function createBench(count: number, knownMax = count) {
  const boards = new Map<string, Board>()
  const board = (key: string): Board => {
    const made = boards.get(key) ?? { load: undefined }
    boards.set(key, made)
    return made
  }
  const provider = (key: string, node: number) =>
    ({ key, node, group: key, models: [MODEL], board: () => board(key) }) as unknown as SimProvider
  const providers = Array.from({ length: count }, (_, index) => provider(`p${index}`, index + 1))
  const acquaintances = createAcquaintances({
    node: 0,
    world: {
      clock: { nowMs: 0 } as never,
      metrics: { met() {} } as never,
      provider: (key) => providers.find((one) => one.key === key),
      draw: (_model, random) => providers[Math.floor(random.next() * count)],
    },
    ledger: createLedger(REPUTATION_PARAMS),
    knownMax,
    random: createRandom(1),
  })
  const one = (key: string) => acquaintances.candidates(MODEL, []).find((found) => found.provider === key)
  return { acquaintances, board, providers, provider, one }
}

test('as many are met as may be remembered, and whoever is excepted is left out', () => {
  const { acquaintances } = createBench(20, 5)
  const found = acquaintances.candidates(MODEL, [])
  assert.is(found.length, 5)
  const [first] = found
  assert.not.ok(acquaintances.candidates(MODEL, [first!.provider]).includes(first!))
})

test('a candidate is the same until something about it changes', () => {
  const { acquaintances, board, one } = createBench(3)
  const before = one('p1')
  assert.is(one('p1'), before)
  acquaintances.busy('p1', 700)
  assert.is(one('p1')?.notBeforeMs, 700)
  const load = { running: 1, queued: 2, capacity: 8, serviceMs: 5 }
  board('p1').load = load
  assert.is(one('p1')?.load, load)
  acquaintances.served('p1', MODEL, 100)
  acquaintances.served('p1', MODEL, 200)
  acquaintances.changed('p1')
  assert.is(one('p1')?.serviceMs, 125)
})

test('a fresh key takes the place of the one before, and only where that was known', () => {
  const { acquaintances, providers, provider } = createBench(3)
  acquaintances.candidates(MODEL, [])
  providers[1] = provider('p1#2', 2)
  acquaintances.renamed(providers[1], 'p1')
  assert.ok(acquaintances.knows('p1#2') && !acquaintances.knows('p1'))
  acquaintances.renamed(provider('p9#2', 9), 'p9')
  assert.not.ok(acquaintances.knows('p9#2'))
  acquaintances.forget('p1#2')
  assert.not.ok(acquaintances.knows('p1#2'))
})

test.run()

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createDisputeTurns } from '../../src/node/dispute-turns.ts'

const HOLD_MS = 1_000
const signal = new AbortController().signal

function start() {
  const timers = new Set<() => void>()
  const turns = createDisputeTurns(HOLD_MS, (ms, callback) => {
    assert.is(ms, HOLD_MS)
    timers.add(callback)
    return () => timers.delete(callback)
  })
  const began: string[] = []
  const take = (
    job: string,
    parties: readonly string[],
    aborted = signal,
    isBackground = false,
  ): Promise<void> => turns.take(job, parties, aborted, { isBackground }).then(() => void began.push(job))
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
  return { turns, take, began, timers, settle }
}

test('disputes without a party in common go on side by side', async () => {
  const { take, began, settle } = start()
  void take('1', ['a', 'b'])
  void take('2', ['c', 'd'])
  await settle()
  assert.equal(began, ['1', '2'])
})

test('a dispute waits for another one of the same party, in order', async () => {
  const { turns, take, began, settle } = start()
  void take('1', ['a', 'b'])
  void take('2', ['a', 'c'])
  void take('3', ['a', 'd'])
  void take('4', ['e'])
  await settle()
  assert.equal(began, ['1', '4'])
  turns.end('1')
  await settle()
  assert.equal(began, ['1', '4', '2'])
  turns.end('2')
  turns.end('2')
  await settle()
  assert.equal(began, ['1', '4', '2', '3'])
})

test('a job that has its turn keeps it for whoever is drawn later, who is its party too', async () => {
  const { turns, take, began, settle } = start()
  await take('1', ['a'])
  await take('1', ['b'])
  void take('2', ['b'])
  await settle()
  assert.equal(began, ['1', '1'])
  turns.end('1')
  await settle()
  assert.equal(began, ['1', '1', '2'])
})

test('two traces of one waiting job begin together', async () => {
  const { turns, take, began, settle } = start()
  await take('1', ['a'])
  void take('2', ['a'])
  void take('2', ['a'])
  turns.end('1')
  await settle()
  assert.equal(began, ['1', '2', '2'])
})

test('a dispute that takes too long holds nobody up', async () => {
  const { take, began, timers, settle } = start()
  void take('1', ['a'])
  void take('2', ['a'])
  for (const ring of [...timers]) ring()
  await settle()
  assert.equal(began, ['1', '2'])
})

test('who is aborted while it waits is gone, and the others go on', async () => {
  const { turns, take, began, settle } = start()
  const controller = new AbortController()
  void take('1', ['a'])
  const aborted = take('2', ['a'], controller.signal).catch((error: Error) => error.message)
  void take('3', ['a'])
  controller.abort(new Error('closed'))
  assert.is(await aborted, 'closed')
  turns.end('1')
  await settle()
  assert.equal(began, ['1', '3'])
})

test('a dispute in the background waits for others, and nobody waits for it', async () => {
  const { turns, take, began, settle } = start()
  void take('1', ['a', 'b'])
  void take('canary', ['a', 'c'], signal, true)
  await settle()
  assert.equal(began, ['1'])
  turns.end('1')
  await settle()
  assert.equal(began, ['1', 'canary'])
  void take('2', ['c', 'd'])
  await settle()
  assert.equal(began, ['1', 'canary', '2'])
})

test.run()

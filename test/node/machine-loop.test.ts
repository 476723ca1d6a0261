import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createMachineLoop } from '../../src/node/machine-loop.ts'

test('an effect that leads to an event at once never enters the machine twice', () => {
  const order: string[] = []
  let inside = 0
  const machine = {
    handle(event: string): string[] {
      assert.is(inside++, 0, 'entered while it was handling')
      order.push(`handle ${event}`)
      inside--
      return event === 'first' ? ['a', 'b'] : []
    },
  }
  const post = createMachineLoop<string, string>(
    machine,
    (effect) => {
      order.push(`perform ${effect}`)
      if (effect === 'a') post('second')
    },
    (event) => order.push(`after ${event}`),
  )
  post('first')
  assert.equal(order, [
    'handle first',
    'perform a',
    'perform b',
    'after first',
    'handle second',
    'after second',
  ])
})

test('an effect that throws leaves the loop open for the next event', () => {
  const handled: string[] = []
  const post = createMachineLoop<string, string>(
    {
      handle(event) {
        handled.push(event)
        return event === 'bad' ? ['broken'] : []
      },
    },
    () => {
      throw new Error('our own fault')
    },
  )
  assert.throws(() => post('bad'), /our own fault/)
  post('good')
  assert.equal(handled, ['bad', 'good'])
})

test.run()

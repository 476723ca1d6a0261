import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createReliance } from '../../src/requester/index.ts'

const answer = (jobId: string, ...providers: string[]) => ({ jobId, providers, kept: jobId })

test('whoever is found out takes with it what rested on its word, once', () => {
  const reliance = createReliance<string>(10)
  reliance.add(answer('1', 'a', 'b'))
  reliance.add(answer('2', 'b'))
  reliance.add(answer('3', 'a'))
  assert.equal(
    reliance.takeResting('a').map(({ jobId }) => jobId),
    ['1', '3'],
  )
  assert.equal(reliance.takeResting('a'), [])
  assert.equal(
    reliance.takeResting('b').map(({ jobId }) => jobId),
    ['2'],
  )
  assert.is(reliance.size, 0)
})

test('the oldest answers go first, and a job that is added again rests on its new providers alone', () => {
  const reliance = createReliance<string>(2)
  for (const jobId of ['1', '2', '3']) reliance.add(answer(jobId, 'a'))
  reliance.add(answer('3', 'b'))
  assert.equal(
    reliance.takeResting('a').map(({ jobId }) => jobId),
    ['2'],
  )
  assert.equal(
    reliance.takeResting('b').map(({ jobId }) => jobId),
    ['3'],
  )
})

test.run()

/** Random requests, cancellations and failures: what must hold at every moment. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createProvider, type ProviderEffect, type ProviderEvent } from '../../src/provider/index.ts'
import { createVirtualTime } from '../fixtures/virtual-time.ts'

const LIMITS = {
  queuedMax: 5,
  queuedPerRequesterMax: 3,
  inputBytesMax: 60,
  batchRowsMax: 4,
  answersMax: 3,
  answersBytesMax: 40,
  abortGraceMs: 30,
}

const arbitraryRequests = fc.array(
  fc.record({
    atMs: fc.nat(400),
    job: fc.nat(15),
    requester: fc.constantFrom('a', 'b', 'c'),
    model: fc.constantFrom('m', 'm', 'n', 'unknown'),
    inputBytes: fc.integer({ min: 1, max: 30 }),
    batchKey: fc.constantFrom('', 'x', 'y'),
    rows: fc.integer({ min: 1, max: 5 }),
    patienceMs: fc.constantFrom(1, 60, 500),
    cancelAfterMs: fc.option(fc.nat(100)),
  }),
  { minLength: 1, maxLength: 40, size: 'max' },
)

const arbitraryExecutions = fc.array(
  fc.record({
    serviceMs: fc.constantFrom(1, 20, 80, 1000),
    end: fc.constantFrom('ok', 'ok', 'ok', 'partly', 'failed', 'pause'),
  }),
  { minLength: 1, maxLength: 10, size: 'max' },
)

test('every request is answered, repeated, refused or gone; bounds hold at every moment', () => {
  fc.assert(
    fc.property(
      arbitraryRequests,
      arbitraryExecutions,
      fc.option(fc.nat(500)),
      (requests, executions, drainAtMs) => {
        const time = createVirtualTime()
        const provider = createProvider({ limits: LIMITS })
        const open = new Map<string, { jobId: string; inputBytes: number }>()
        const running = new Map<number, readonly string[]>()
        const remembered = new Set<string>()
        const timers = new Map<string, () => void>()
        const announced = new Map<string, number>()
        let drained = 0
        let started = 0

        const tell = (event: ProviderEvent) => {
          for (const effect of provider.handle(event, time.nowMs)) perform(effect)
          for (const model of ['m', 'n']) {
            const queued = provider.load(model)?.queued ?? 0
            // A batch that failed as a whole goes back into the queue.
            assert.ok(queued <= LIMITS.queuedMax + LIMITS.batchRowsMax, `queue of ${queued}`)
          }
          assert.ok(remembered.size <= LIMITS.answersMax, 'answers are bounded')
        }
        const finish = (
          batchId: number,
          ids: readonly string[],
          { serviceMs, end }: (typeof executions)[number],
        ) => {
          if (!running.delete(batchId)) return
          if (end === 'failed' || end === 'pause') {
            const retryAfterMs = end === 'pause' ? 50 : 0
            return tell({ type: 'executionFailed', batchId, code: 'failed', message: '', retryAfterMs })
          }
          const outcomes = ids.map((_, index) =>
            end === 'partly' && index === 0
              ? ({ ok: false, code: 'invalid-job', message: '' } as const)
              : ({ ok: true, outputBytes: 10 } as const),
          )
          tell({ type: 'executed', batchId, serviceMs, outcomes })
        }
        const close = (requestId: string, what: string) => {
          const request = open.get(requestId)
          assert.ok(request !== undefined, `${what} for ${requestId}, which was not open`)
          open.delete(requestId)
          return request!
        }
        const perform = (effect: ProviderEffect) => {
          switch (effect.type) {
            case 'execute': {
              assert.is(drained, 0)
              for (const id of effect.requestIds) assert.ok(open.has(id), `executes ${id}, which is not open`)
              running.set(effect.batchId, effect.requestIds)
              const execution = executions[started++ % executions.length]!
              time.after(execution.serviceMs, () => finish(effect.batchId, effect.requestIds, execution))
              return
            }
            case 'abort':
              assert.ok(running.delete(effect.batchId), 'aborts what does not run')
              return
            case 'respond': {
              const { jobId } = close(effect.requestId, 'respond')
              assert.not(remembered.has(jobId), 'responds twice to one job')
              remembered.add(jobId)
              return
            }
            case 'repeat':
              assert.ok(remembered.has(effect.jobId), 'repeats what it does not remember')
              close(effect.requestId, 'repeat')
              return
            case 'refuse':
              assert.ok(effect.retryAfterMs >= 0)
              close(effect.requestId, 'refuse')
              return
            case 'forget':
              assert.ok(remembered.delete(effect.jobId), 'forgets what it does not remember')
              return
            case 'schedule':
              assert.ok(effect.atMs >= time.nowMs)
              timers.get(effect.timer)?.()
              timers.set(
                effect.timer,
                time.at(effect.atMs, () => tell({ type: 'timerExpired', timer: effect.timer })),
              )
              return
            case 'unschedule':
              timers.get(effect.timer)?.()
              return
            case 'announce': {
              const last = announced.get(effect.model) ?? Number.NEGATIVE_INFINITY
              assert.ok(time.nowMs - last >= 500, 'announces too often')
              announced.set(effect.model, time.nowMs)
              return
            }
            case 'drained':
              drained += 1
              return
            default:
              effect satisfies never
          }
        }

        tell({ type: 'modelReady', model: 'm', batching: true, serviceMsGuess: 20 })
        tell({ type: 'modelReady', model: 'n', batching: false, serviceMsGuess: 20 })
        for (const [index, { atMs, job, patienceMs, cancelAfterMs, ...rest }] of requests.entries()) {
          const requestId = `r${index}`
          const request = {
            ...rest,
            requestId,
            jobId: `${rest.requester}${rest.model}${job}`,
            deadlineAtMs: atMs + patienceMs,
          }
          time.at(atMs, () => {
            open.set(requestId, request)
            tell({ type: 'requested', request })
          })
          if (cancelAfterMs !== null) {
            time.at(atMs + cancelAfterMs, () => {
              open.delete(requestId)
              tell({ type: 'cancelled', requestId })
            })
          }
          // A sweep may come a little later than the deadline.
          time.at(request.deadlineAtMs + 6, () =>
            assert.not(open.has(requestId), `${requestId} hangs past its deadline`),
          )
        }
        if (drainAtMs !== null) time.at(drainAtMs, () => tell({ type: 'draining' }))
        time.run(20_000)
        assert.is(open.size, 0)
        assert.is(running.size, 0)
        assert.is(drained, drainAtMs === null ? 0 : 1)
        if (drainAtMs === null) assert.is(remembered.size, 0, 'nothing is remembered for ever')
      },
    ),
    { numRuns: 500, includeErrorInReport: true },
  )
})

test.run()

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { QUEUE_MAX } from '../../../models/runtime/constants.ts'
import type { UndigestedOutcome } from '../../../models/runtime/digests.ts'
import type { Answer } from '../../../models/runtime/exact-answers.ts'
import type { HostEvents, HostOptions, HostProcess } from '../../../models/runtime/host-process.ts'
import { type NativeRuntimeInit, RuntimeError } from '../../../models/runtime/index.ts'
import { createSupervisor } from '../../../models/runtime/supervisor.ts'
import { digestTensors } from '../../../models/tensor/index.ts'
import { codeOf, executionOf, rowsOf, signatureOf } from './executions.ts'

const execution = executionOf(rowsOf([1, 2]))
const outcomes: UndigestedOutcome[] = [
  { ok: true, outputs: new Uint8Array([1, 2, 3]), batched: false, serviceMs: 1 },
]
const forever = new AbortController().signal

interface FakeHost extends HostProcess {
  readonly events: HostEvents
  readonly ids: number[]
  readonly kinds: ('execute' | 'ask')[]
  answered: number
  killed: boolean
}

/** Processes and time as the test moves them. */
function createWorld(init: Partial<NativeRuntimeInit> = {}) {
  let time = 0
  let resident = 0
  const timers = new Set<{ at: number; callback: () => void }>()
  const hosts: FakeHost[] = []
  const logs: string[] = []
  const spawn = ({ events }: HostOptions): HostProcess => {
    const host: FakeHost = {
      pid: 1000 + hosts.length,
      events,
      ids: [],
      kinds: [],
      answered: 0,
      killed: false,
      execute: (id) => {
        host.ids.push(id)
        host.kinds.push('execute')
      },
      ask: (id) => {
        host.ids.push(id)
        host.kinds.push('ask')
      },
      kill: () => {
        host.killed = true
      },
    }
    hosts.push(host)
    return host
  }
  const runtime = createSupervisor(
    {
      modelPath: '/models/m.onnx',
      signature: signatureOf(2),
      batching: false,
      abortGraceMs: 0,
      onLog: (_, message) => logs.push(message),
      ...init,
    },
    {
      spawn,
      now: () => time,
      schedule: (ms, callback) => {
        const timer = { at: time + ms, callback }
        timers.add(timer)
        return () => timers.delete(timer)
      },
      residentBytes: () => resident,
      info: { engine: 'fake', version: '0', lane: 'native', instructionSet: 'none' },
    },
  )
  return {
    runtime,
    hosts,
    logs,
    last: () => hosts.at(-1)!,
    use: (bytes: number) => {
      resident = bytes
    },
    advance: (ms: number) => {
      const until = time + ms
      for (;;) {
        const due = [...timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
        if (due === undefined) break
        timers.delete(due)
        time = due.at
        due.callback()
      }
      time = until
    },
    /** Answers what the last process is at. */
    answer: (answered: readonly UndigestedOutcome[] = outcomes) => {
      const host = hosts.at(-1)!
      host.events.onExecuted(host.ids[host.answered++]!, answered, undefined)
    },
  }
}

async function failure(promise: Promise<unknown>): Promise<RuntimeError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.instance(error, RuntimeError)
  return error as RuntimeError
}

test('the process has one execution to run and the next at hand; the rest wait their turn', async () => {
  const world = createWorld()
  const first = world.runtime.execute([execution], forever)
  const second = world.runtime.execute([execution], forever)
  assert.is(world.hosts.length, 1)
  assert.equal(world.last().ids, [])
  world.last().events.onLoaded()
  const third = world.runtime.execute([execution], forever)
  const fourth = world.runtime.execute([execution], forever)
  assert.is(world.last().ids.length, 2)
  for (const [index, promise] of [first, second, third, fourth].entries()) {
    world.answer()
    assert.is(world.last().ids.length, Math.min(index + 3, 4), 'handed over before anything is hashed')
    await promise
  }
})

test('outputs are released with the digest that this process made, also large ones', async () => {
  const world = createWorld()
  world.runtime.load()
  world.last().events.onLoaded()
  for (const outputs of [new Uint8Array(8).fill(1), new Uint8Array(300_000).fill(2)]) {
    const execution = executionOf(rowsOf([1, 2]))
    const running = world.runtime.execute([execution], forever)
    world.answer([{ ok: true, outputs, batched: false, serviceMs: 1 }])
    const [outcome] = await running
    assert.ok(outcome?.ok)
    assert.equal(Buffer.from(outcome.value.outputDigest), Buffer.from(digestTensors(execution.salt, outputs)))
  }
})

test('an entry whose inputs have another digest fails, whatever came of it; the others do not', async () => {
  const world = createWorld()
  world.runtime.load()
  world.last().events.onLoaded()
  for (const columns of [2, 20_000]) {
    const good = executionOf(rowsOf(new Array(columns).fill(1)))
    const wrong = { ...good, inputDigest: new Uint8Array(32) }
    const unsalted = { ...good, salt: new Uint8Array(31) }
    const ok: UndigestedOutcome = {
      ok: true,
      outputs: new Uint8Array(columns * 4),
      batched: true,
      serviceMs: 1,
    }
    const failed: UndigestedOutcome = { ok: false, error: new RuntimeError('input-mismatch', 'shape') }
    const running = world.runtime.execute([good, wrong, wrong, unsalted, good], forever)
    world.answer([ok, ok, failed, ok, failed])
    assert.equal((await running).map(codeOf), [
      'ok',
      'digest-mismatch',
      'digest-mismatch',
      'input-mismatch',
      'input-mismatch',
    ])
  }
})

test('what is being hashed can still be aborted or closed', async () => {
  const world = createWorld()
  world.runtime.load()
  world.last().events.onLoaded()
  const large: UndigestedOutcome[] = [
    { ok: true, outputs: new Uint8Array(300_000), batched: false, serviceMs: 1 },
  ]
  const controller = new AbortController()
  const aborted = failure(world.runtime.execute([execution], controller.signal))
  const closed = failure(world.runtime.execute([execution], forever))
  world.answer(large)
  world.answer(large)
  controller.abort()
  assert.not.ok(world.last().killed)
  world.runtime.close()
  assert.is((await aborted).code, 'aborted')
  assert.is((await closed).code, 'closed')
})

test('an abort of what lies at hand leaves the process alone until it is at it', async () => {
  const world = createWorld({ abortGraceMs: 100 })
  const controller = new AbortController()
  const first = world.runtime.execute([execution], forever)
  const aborted = failure(world.runtime.execute([execution], controller.signal))
  world.last().events.onLoaded()
  assert.is(world.last().ids.length, 2)
  controller.abort()
  assert.is((await aborted).code, 'aborted')
  world.advance(1000)
  assert.not.ok(world.last().killed)
  world.answer()
  await first
  world.advance(99)
  assert.not.ok(world.last().killed)
  world.advance(1)
  assert.ok(world.last().killed)
})

test('a deadline kills the process; what waited runs in the next one', async () => {
  const world = createWorld()
  const controller = new AbortController()
  const late = world.runtime.execute([execution], controller.signal)
  const waiting = world.runtime.execute([execution], forever)
  world.last().events.onLoaded()
  controller.abort(new DOMException('late', 'TimeoutError'))
  assert.is((await failure(late)).code, 'deadline')
  assert.ok(world.last().killed)
  world.last().events.onExit('it was ended by SIGKILL')
  assert.is(world.hosts.length, 2)
  world.last().events.onLoaded()
  world.answer()
  await waiting
})

test('an aborted execution that ends within the grace spares the process', async () => {
  const world = createWorld({ abortGraceMs: 100 })
  const controller = new AbortController()
  const aborted = world.runtime.execute([execution], controller.signal)
  const waiting = world.runtime.execute([execution], forever)
  world.last().events.onLoaded()
  controller.abort()
  assert.is((await failure(aborted)).code, 'aborted')
  world.advance(99)
  world.answer()
  assert.is(world.last().ids.length, 2)
  world.advance(1000)
  assert.not.ok(world.last().killed)
  world.answer()
  await waiting
})

test('an aborted execution that outlives the grace costs the process', async () => {
  const world = createWorld({ abortGraceMs: 100 })
  const controller = new AbortController()
  const aborted = failure(world.runtime.execute([execution], controller.signal))
  world.last().events.onLoaded()
  controller.abort()
  await aborted
  world.advance(100)
  assert.ok(world.last().killed)
})

test('an execution that is aborted while it waits costs nothing', async () => {
  const world = createWorld()
  const controller = new AbortController()
  const first = world.runtime.execute([execution], forever)
  const second = world.runtime.execute([execution], forever)
  const aborted = failure(world.runtime.execute([execution], controller.signal))
  world.last().events.onLoaded()
  controller.abort()
  assert.is((await aborted).code, 'aborted')
  assert.not.ok(world.last().killed)
  world.answer()
  world.answer()
  await Promise.all([first, second])
  assert.is(world.last().ids.length, 2)
})

test('each crash doubles the wait up to 30 s; a minute of health forgets it', async () => {
  const world = createWorld()
  const waits: number[] = []
  for (let crash = 0; crash < 9; crash++) {
    const crashed = failure(world.runtime.execute([execution], forever))
    const waiting = failure(world.runtime.execute([execution], forever))
    world.last().events.onLoaded()
    world.last().events.onExit('it was ended by SIGSEGV')
    assert.is((await crashed).code, 'crashed')
    assert.is((await waiting).code, 'backing-off')
    const { code, retryAfterMs } = await failure(world.runtime.execute([execution], forever))
    assert.is(code, 'backing-off')
    waits.push(retryAfterMs)
    world.advance(retryAfterMs)
  }
  assert.equal(waits, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000])

  const healthy = failure(world.runtime.execute([execution], forever))
  world.last().events.onLoaded()
  world.advance(60_000)
  world.last().events.onExit('it was ended by SIGSEGV')
  assert.is((await healthy).retryAfterMs, 250)
})

test('a model that does not load fails for good, until it is asked to load again', async () => {
  const world = createWorld()
  const first = failure(world.runtime.execute([execution], forever))
  world.last().events.onLoadFailed('Protobuf parsing failed')
  world.last().events.onExit('it was ended by SIGKILL')
  assert.match((await first).message, /m\.onnx" does not load: Protobuf parsing failed/)
  assert.is((await failure(world.runtime.execute([execution], forever))).code, 'load-failed')
  assert.is(world.hosts.length, 1)
  assert.is(world.runtime.status().state, 'failed')
  const again = world.runtime.load()
  assert.is(world.hosts.length, 2)
  world.last().events.onLoaded()
  await again
})

test('a process that dies while it loads for the first time is a model that does not load', async () => {
  const world = createWorld()
  const load = failure(world.runtime.load())
  world.last().events.onExit('it was ended by SIGABRT')
  assert.is((await load).code, 'load-failed')
})

test('loading has an end', async () => {
  const world = createWorld({ loadTimeoutMs: 5000 })
  const load = failure(world.runtime.load())
  world.advance(5000)
  assert.is((await load).code, 'load-failed')
  assert.ok(world.last().killed)
})

test('a process above its memory bound is ended, and that is a crash that says so', async () => {
  const world = createWorld({ memoryBytesMax: 1000 })
  const running = failure(world.runtime.execute([execution], forever))
  world.last().events.onLoaded()
  world.use(1000)
  world.advance(1000)
  assert.not.ok(world.last().killed)
  world.use(1001)
  world.advance(1000)
  assert.ok(world.last().killed)
  world.last().events.onExit('it was ended by SIGKILL')
  const { code, message } = await running
  assert.is(code, 'crashed')
  assert.match(message, /used 1001 bytes of memory where 1000 are allowed/)
})

test('an idle process is ended and started again on demand', async () => {
  const world = createWorld({ idleMs: 1000 })
  await Promise.all([world.runtime.load(), world.last().events.onLoaded()])
  world.advance(999)
  const first = world.runtime.execute([execution], forever)
  world.advance(5000)
  assert.not.ok(world.last().killed)
  world.answer()
  await first
  world.advance(1000)
  assert.ok(world.last().killed)
  world.last().events.onExit('it was ended by SIGKILL')
  assert.is(world.runtime.status().state, 'unloaded')
  const second = world.runtime.execute([execution], forever)
  assert.is(world.hosts.length, 2)
  world.last().events.onLoaded()
  world.answer()
  await second
})

test('an idle process stays as long as it may, and is asked about each time', async () => {
  const asked: (number | undefined)[] = []
  let mayStay = true
  const world = createWorld({
    idleMs: 1000,
    isKept: (bytes) => {
      asked.push(bytes)
      return mayStay
    },
  })
  await Promise.all([world.runtime.load(), world.last().events.onLoaded()])
  world.use(700)
  world.advance(2500)
  assert.equal(asked, [700, 700])
  const first = world.runtime.execute([execution], forever)
  world.advance(5000)
  assert.is(asked.length, 2, 'nobody asks while it works')
  world.answer()
  await first
  mayStay = false
  world.advance(999)
  assert.not.ok(world.last().killed)
  world.advance(1)
  assert.ok(world.last().killed)
})

test('close ends the process, waits for it and fails what is left', async () => {
  const world = createWorld()
  const running = failure(world.runtime.execute([execution], forever))
  const waiting = failure(world.runtime.execute([execution], forever))
  world.last().events.onLoaded()
  let isClosed = false
  const closing = world.runtime.close().then(() => {
    isClosed = true
  })
  assert.is((await running).code, 'closed')
  assert.is((await waiting).code, 'closed')
  assert.not.ok(isClosed)
  assert.ok(world.last().killed)
  world.last().events.onExit('it was ended by SIGKILL')
  await closing
  await world.runtime.close()
  assert.is((await failure(world.runtime.execute([execution], forever))).code, 'closed')
  assert.is(world.hosts.length, 1)
})

test('an answer that comes after its execution was given up changes nothing', async () => {
  const world = createWorld()
  const controller = new AbortController()
  const aborted = failure(world.runtime.execute([execution], controller.signal))
  world.last().events.onLoaded()
  const old = world.last()
  controller.abort()
  await aborted
  old.events.onExit('it was ended by SIGKILL')
  world.last().events.onLoaded()
  const next = world.runtime.execute([execution], forever)
  old.events.onExecuted(old.ids[0]!, outcomes, undefined)
  world.answer()
  assert.is((await next).length, 1)
})

const asked = { what: 'step', position: '0', digests: [], payload: new Uint8Array(8) } as const
const answer: Answer = { payload: new Uint8Array([1]), leaves: [], serviceMs: 1 }

test('what is asked waits in one line with what is executed', async () => {
  const world = createWorld()
  const first = world.runtime.ask(asked, forever)
  const second = world.runtime.execute([execution], forever)
  const third = failure(world.runtime.ask(asked, forever))
  const host = world.last()
  host.events.onLoaded()
  assert.equal(host.kinds, ['ask', 'execute'])
  host.events.onAnswered(host.ids[0]!, answer, false)
  assert.is(await first, answer)
  assert.equal(host.kinds, ['ask', 'execute', 'ask'])
  host.events.onExecuted(host.ids[1]!, outcomes, undefined)
  await second
  host.events.onAnswered(host.ids[2]!, new RuntimeError('run-failed', 'the operator refuses'), false)
  assert.is((await third).code, 'run-failed')
})

test('a spent process answers, and what it has at hand goes to the next one', async () => {
  const world = createWorld()
  const first = world.runtime.ask(asked, forever)
  const second = world.runtime.ask(asked, forever)
  const third = world.runtime.execute([execution], forever)
  const old = world.last()
  old.events.onLoaded()
  old.events.onAnswered(old.ids[0]!, answer, true)
  await first
  assert.ok(old.killed)
  assert.is(old.ids.length, 2, 'it is handed nothing more')
  old.events.onExit('it was ended by SIGKILL')
  const next = world.last()
  assert.is.not(next, old)
  next.events.onLoaded()
  assert.equal(next.kinds, ['ask', 'execute'])
  next.events.onAnswered(next.ids[0]!, answer, false)
  next.events.onExecuted(next.ids[1]!, outcomes, undefined, true)
  await Promise.all([second, third])
  assert.ok(next.killed)
  next.events.onExit('it was ended by SIGKILL')
  assert.is(world.hosts.length, 2, 'nobody waits')
})

test('a crash, a deadline and a full line say nothing about what was asked', async () => {
  const world = createWorld()
  const late = new AbortController()
  const timedOut = failure(world.runtime.ask(asked, late.signal))
  const crashed = failure(world.runtime.ask(asked, forever))
  world.last().events.onLoaded()
  late.abort(new DOMException('late', 'TimeoutError'))
  assert.is((await timedOut).code, 'deadline')
  world.last().events.onExit('it was ended by SIGKILL')
  world.last().events.onLoaded()
  world.last().events.onExit('it was ended by SIGSEGV')
  assert.is((await crashed).code, 'crashed')
  assert.is((await failure(world.runtime.ask(asked, forever))).code, 'backing-off')
  world.advance(1000)
  for (let waiting = 0; waiting < QUEUE_MAX; waiting++) failure(world.runtime.ask(asked, forever))
  assert.is((await failure(world.runtime.ask(asked, forever))).code, 'backing-off')
  assert.is((await failure(world.runtime.execute([execution], forever))).code, 'run-failed')
  const closing = world.runtime.close()
  world.last().events.onExit('it was ended by SIGKILL')
  await closing
  assert.is((await failure(world.runtime.ask(asked, forever))).code, 'closed')
})

test.run()

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { guessesFor, guessShapes } from '../../models/calibration/index.ts'
import type { Manifest } from '../../models/manifest/index.ts'
import type { Lane } from '../../models/runtime/index.ts'
import { encodeTensors, float32Elements, float32Tensor, type Tensor } from '../../models/tensor/index.ts'
import { createCanaries } from '../../src/node/canaries.ts'
import { createRecentShapes, drawCanary } from '../../src/node/canary-inputs.ts'
import {
  type CanaryReport,
  type ClosedJob,
  JobError,
  type SubmitRequest,
  silentLog,
} from '../../src/node/index.ts'
import { createRandom } from '../../src/routing/index.ts'

const MANIFEST = {
  name: 'mlp',
  signature: { inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', 'length'] }], outputs: [] },
  lanes: ['native', 'exact'],
  tolerance: { tau: 5e-5 },
  plan: { root: 'ab' },
} as unknown as Manifest
const ANSWER = encodeTensors([float32Tensor('y', [1], new Float32Array([1]))])

/** A person's job of that length. */
function job(length = 3, changes: Partial<SubmitRequest> = {}): SubmitRequest {
  return {
    model: 'm',
    inputs: [float32Tensor('x', [1, length], new Float32Array(length).fill(7))],
    ...changes,
  }
}

type Run = (lane: Lane, inputs: Uint8Array) => Uint8Array | undefined

interface Options {
  readonly rate?: number
  readonly run?: Run
  readonly holds?: boolean
  readonly seed?: number
}

/** One node; every canary waits until it is closed by hand. */
function start({ rate = 1, run = () => ANSWER, holds = true, seed = 1 }: Options = {}) {
  const sent: SubmitRequest[] = []
  const checks: Lane[] = []
  const reports: CanaryReport[] = []
  const closers: (() => void)[] = []
  const random = createRandom(seed)
  let keys = 0
  const canaries = createCanaries({
    rate,
    holds: () => holds,
    random,
    newKey: () => new Uint8Array(32).fill(++keys),
    onCanary: (report) => reports.push(report),
    log: silentLog,
    run: async (_model, lane, inputs) => {
      checks.push(lane)
      return run(lane, inputs)
    },
    submit: async (request) => {
      request.signal?.throwIfAborted()
      sent.push(request)
      const closed = Promise.withResolvers<ClosedJob>()
      const verdict = { label: 'replicated', agreed: [], disagreed: [], asked: 2, groups: 2 } as const
      closers.push(() =>
        closed.resolve({ verdict, answers: [], disputes: [], bundle: undefined, bundleError: undefined }),
      )
      return {
        jobId: `c${sent.length}`,
        model: request.model,
        outputs: [],
        verdict,
        elapsedMs: 1,
        closed: closed.promise,
      }
    },
  })
  const settle = async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    canaries,
    sent,
    checks,
    reports,
    settle,
    follow: async (request = job(), share = canaries.rateOf(request)) => {
      canaries.followed(request, MANIFEST, share)
      await settle()
    },
    close: async () => {
      for (const close of closers.splice(0)) close()
      await settle()
    },
  }
}

test('without a rate no canary follows a job', async () => {
  const { follow, sent } = start({ rate: 0 })
  for (let count = 0; count < 20; count++) await follow()
  assert.is(sent.length, 0)
})

test('a canary has a referee, lets proofs be published, and else the terms of the job before it', async () => {
  const { follow, sent, reports, close } = start()
  const terms = {
    lane: 'exact',
    replicas: 4,
    timeoutMs: 5_000,
    tau: 1e-5,
    recomputeRate: 0.5,
    openCall: true,
  } as const
  await follow(
    job(3, { ...terms, policy: 'quorum', quorum: 3, bundleDirectory: '/private', publicDisputes: false }),
  )
  const { inputs, signal, ...rest } = sent[0]!
  assert.equal(rest, { ...terms, model: 'm', policy: 'referee', publicDisputes: true })
  assert.ok(signal !== undefined && inputs.length === 1)
  assert.equal(reports, [])
  await close()
  assert.equal(
    reports.map(({ jobId, model }) => [jobId, model]),
    [['c1', 'm']],
  )
})

test('who asks one provider alone sends canaries to two: somebody has to disagree', async () => {
  const { follow, sent } = start()
  await follow(job(3, { replicas: 1 }))
  assert.is(sent[0]!.replicas, 2)
})

test('a job s own share is taken before the node s, and must be one', () => {
  const { canaries } = start({ rate: 0.25 })
  assert.is(canaries.rateOf(job()), 0.25)
  assert.is(canaries.rateOf(job(3, { canaryRate: 0 })), 0)
  for (const canaryRate of [-0.1, 1.1, Number.NaN]) {
    assert.throws(
      () => canaries.rateOf(job(3, { canaryRate })),
      (error: unknown) => error instanceof JobError && error.failure.code === 'invalid-job',
    )
  }
})

test('of many jobs that share is followed by one', async () => {
  for (const seed of [1, 2, 3]) {
    const { follow, close, sent } = start({ rate: 0.25, seed })
    for (let count = 0; count < 200; count++) {
      await follow()
      await close()
    }
    assert.ok(sent.length > 30 && sent.length < 70, `seed ${seed}: ${sent.length} of 200`)
  }
})

test('one canary of a model is under way at a time, and a few in all', async () => {
  const { follow, close, sent, canaries } = start()
  await follow()
  await follow()
  assert.is(sent.length, 1)
  for (let model = 0; model < 8; model++) await follow(job(3, { model: `m${model}` }))
  assert.is(sent.length, 4)
  assert.is(canaries.waiting(), 4)
  await close()
  assert.is(canaries.waiting(), 0)
  await follow()
  assert.is(sent.length, 5)
})

test('a canary has the shape of recent jobs and nothing of their content, and no two are alike', async () => {
  const { follow, close, sent } = start()
  for (let count = 0; count < 40; count++) {
    await follow(job(count % 2 === 0 ? 11 : 19))
    await close()
  }
  const lengths = new Set(sent.map(({ inputs }) => inputs[0]!.dims[1]))
  assert.equal(lengths, new Set([11, 19]), 'both sizes, and no other')
  const contents = sent.map(({ inputs }) => [...float32Elements(inputs[0]!)])
  assert.ok(contents.flat().every((element) => element !== 7 && Math.abs(element) <= 1))
  assert.is(new Set(contents.map(String)).size, contents.length)
})

test('a canary without jobs before it has a shape that calibration would guess', async () => {
  const { canaries, sent } = start()
  await canaries.probe({ model: 'm' }, MANIFEST)
  const [guess] = guessesFor(MANIFEST.signature)
  assert.equal([sent[0]!.inputs[0]!.dims], guessShapes(MANIFEST.signature, guess!))
})

test('what the model refuses is sent to nobody: another shape is tried, and remembered', async () => {
  const { canaries, sent, close, checks, settle } = start({
    run: (_lane, inputs) => {
      // Only short ones.
      if (inputs.byteLength > 80) throw new Error('the model takes no such input')
      return ANSWER
    },
  })
  for (let count = 0; count < 3; count++) {
    const probed = canaries.probe({ model: 'm' }, MANIFEST)
    await settle()
    await close()
    await probed
  }
  assert.ok(sent.every(({ inputs }) => encodeTensors(inputs).byteLength <= 80))
  const tried = guessesFor(MANIFEST.signature).findIndex((guess) => guess <= 8)
  assert.is(checks.length, tried + 2, 'each size once, the good one in both lanes')
})

for (const [name, run] of [
  [
    'the model refuses whatever is drawn',
    () => {
      throw new Error('no')
    },
  ],
  ['this machine has no lane of the model', () => undefined],
  [
    'the lanes of this machine part by more than the tolerance',
    (lane: Lane) =>
      lane === 'exact' ? ANSWER : encodeTensors([float32Tensor('y', [1], new Float32Array([1.001]))]),
  ],
] as const satisfies readonly (readonly [string, Run])[]) {
  test(`where ${name} there are no canaries, and whoever asks for one is told`, async () => {
    const { canaries, follow, sent } = start({ run })
    await follow()
    assert.is(sent.length, 0)
    assert.is(canaries.waiting(), 0)
    await rejects(canaries.probe({ model: 'm' }, MANIFEST), /no inputs could be drawn/)
  })
}

test('who cannot judge sends none', async () => {
  const { canaries, follow, sent, checks } = start({ holds: false })
  await follow()
  await rejects(canaries.probe({ model: 'm' }, MANIFEST), /judge and prove/)
  const { plan: _, ...without } = MANIFEST
  await rejects(start().canaries.probe({ model: 'm' }, without as Manifest), /no exact lane/)
  assert.equal([sent.length, checks.length], [0, 0])
})

test('in the exact lane its own run alone is looked at', async () => {
  const { canaries, checks, sent } = start()
  await canaries.probe({ model: 'm', lane: 'exact' }, MANIFEST)
  assert.equal([checks, sent[0]!.lane], [['exact'], 'exact'])
})

test('a canary waits for the one before it, and a node that stops sends no more', async () => {
  const { canaries, sent, close, settle, follow } = start()
  await canaries.probe({ model: 'm' }, MANIFEST)
  const second = canaries.probe({ model: 'm' }, MANIFEST)
  await settle()
  assert.is(sent.length, 1)
  await close()
  await second
  assert.is(sent.length, 2)
  const third = canaries.probe({ model: 'm' }, MANIFEST).catch((error: Error) => error.message)
  canaries.stop()
  await close()
  assert.is(await third, 'the node stops')
  await follow()
  assert.is(sent.length, 2)
  assert.ok(sent[1]!.signal?.aborted, 'and ends what is under way')
})

test('the numbers of a canary follow from its key alone, and are spread over the whole range', async () => {
  const { signature } = MANIFEST
  const draw = async (key: number): Promise<Tensor> =>
    (await drawCanary(signature, [[2, 20_000]], new Uint8Array(32).fill(key)))![0]!
  const [one, again, other] = [await draw(1), await draw(1), await draw(2)]
  assert.equal(one, again)
  assert.not.equal(one.data, other.data)
  const elements = float32Elements(one)
  const mean = elements.reduce((sum, element) => sum + element, 0) / elements.length
  assert.ok(Math.abs(mean) < 0.02, `mean ${mean}`)
  assert.ok(Math.min(...elements.slice(0, 10_000)) < -0.99 && Math.max(...elements.slice(0, 10_000)) > 0.99)
  assert.is(await drawCanary(signature, [[1, 8 * 1024 * 1024]], new Uint8Array(32)), undefined, 'too large')
})

test('sizes are remembered of so many jobs and models, the latest', () => {
  const recent = createRecentShapes()
  const { signature } = MANIFEST
  const firsts = (model: string) =>
    Array.from({ length: 50 }, (_, seed) => recent.draw(model, signature, createRandom(seed))[0]![0]![1]!)
  for (let length = 1; length <= 100; length++) recent.add('m', signature, job(length).inputs)
  assert.ok(Math.min(...firsts('m')) > 36, 'of 100 the last 64')
  for (let model = 0; model < 64; model++) recent.add(`m${model}`, signature, job(5).inputs)
  assert.equal(
    recent.draw('m', signature, createRandom(1)),
    guessesFor(signature).map((guess) => guessShapes(signature, guess)),
  )
})

test.run()

async function rejects(work: Promise<unknown>, message: RegExp): Promise<void> {
  await work.then(
    () => assert.unreachable(),
    (error: unknown) => {
      assert.ok(error instanceof JobError)
      assert.is(error.failure.code, 'invalid-job')
      assert.match(error.message, message)
    },
  )
}

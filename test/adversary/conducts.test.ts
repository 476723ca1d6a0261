import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  afterHonestJobs,
  type Conduct,
  commonLies,
  createAdaptiveCoalition,
  createBoaster,
  createColludingLiar,
  createCopier,
  createCrashing,
  createEquivocator,
  createFreeRider,
  createHonest,
  createIndependentLiar,
  createLiar,
  createNativeLiar,
  createProxy,
  createSilent,
  createSleeper,
  createSlow,
  createTargeted,
  createTracingLiar,
  createWhitewasher,
  type FacedJob,
  hashContent,
  isPicked,
  type NativeAnswer,
  ownLies,
  type TraceConduct,
} from '../../src/adversary/index.ts'
import { createRandom } from '../../src/routing/index.ts'

const SEEDS = [1, 2, 3, 0xfeedface]
const RATES = [0, 0.01, 0.05, 0.25, 1]
const JOBS = 20_000
const TRACES: readonly TraceConduct[] = ['honest', 'lying', 'withheld', 'busy', 'cannot-trace']

test('an honest provider answers rightly, traces honestly, and takes as long as it takes', () => {
  const honest = createHonest()
  assert.ok(honest.honest)
  for (const answer of answers(honest, 1, 100)) assert.equal(answer, { kind: 'right' })
  assert.is(traced(honest, { kind: 'right' }), 'honest')
  assert.is(honest.serviceFactor, undefined)
  assert.is(honest.announcedFactor, undefined)
  assert.is(honest.whitewashes, undefined)
})

for (const seed of SEEDS) {
  for (const rate of RATES) {
    test(`an independent liar lies at its rate: ${rate}, seed ${seed}`, () => {
      const liar = createIndependentLiar({ name: 'a', rate, trace: 'honest' })
      assertRate(lies(answers(liar, seed, JOBS)).length, JOBS, rate, `rate ${rate}, seed ${seed}`)
    })

    test(`colluders lie on their share of contents, and on no job of another: ${rate}, seed ${seed}`, () => {
      const liar = createColludingLiar({ name: 'c', seed, rate, trace: 'honest' })
      assertRate(lies(answers(liar, 1, JOBS)).length, JOBS, rate, `rate ${rate}, seed ${seed}`)
    })

    test(`a crashing provider crashes, a silent one is silent, at its rate: ${rate}, seed ${seed}`, () => {
      for (const [kind, conduct] of [
        ['crash', createCrashing(rate)],
        ['silent', createSilent(rate)],
      ] as const) {
        const kinds = answers(conduct, seed, JOBS).map((answer) => answer.kind)
        assert.ok(
          kinds.every((each) => each === kind || each === 'right'),
          `${kind}, seed ${seed}`,
        )
        const hits = kinds.filter((each) => each === kind).length
        assertRate(hits, JOBS, rate, `${kind}, rate ${rate}, seed ${seed}`)
      }
    })

    test(`a slow provider is slow at its rate, and right: ${rate}, seed ${seed}`, () => {
      const slow = createSlow({ factor: 20, rate })
      const random = createRandom(seed)
      const factors = Array.from({ length: JOBS }, (_, index) => slow.serviceFactor!(job(index), random))
      assert.equal(
        [...new Set(factors)].filter((factor) => factor !== 1 && factor !== 20),
        [],
      )
      const hits = factors.filter((factor) => factor === 20).length
      assertRate(hits, JOBS, rate, `rate ${rate}, seed ${seed}`)
      assert.equal(
        answers(slow, seed, 100).filter(({ kind }) => kind !== 'right'),
        [],
      )
    })

    test(`an equivocator signs two answers at its rate, each time others: ${rate}, seed ${seed}`, () => {
      const given = answers(createEquivocator({ name: 'e', rate }), seed, JOBS)
      const told = given.flatMap((answer) => (answer.kind === 'equivocate' ? [answer.lie] : []))
      assertRate(told.length, JOBS, rate, `rate ${rate}, seed ${seed}`)
      assert.is(new Set(told).size, told.length)
      assert.is(given.filter(({ kind }) => kind === 'right').length, JOBS - told.length)
    })
  }

  test(`the hash picks its share of contents wherever they lie: seed ${seed}`, () => {
    const random = createRandom(seed)
    const contents: Record<string, (index: number) => number> = {
      small: (index) => index,
      negative: (index) => -index,
      'multiples of 2^32': (index) => index * 2 ** 32,
      'multiples of 65,536': (index) => index * 65_536,
      'any safe integer': () => Math.floor(random.next() * Number.MAX_SAFE_INTEGER),
    }
    for (const [where, contentOf] of Object.entries(contents)) {
      for (const rate of RATES) {
        const hits = count(JOBS, (index) => isPicked(seed, contentOf(index), rate))
        assertRate(hits, JOBS, rate, `${where}, rate ${rate}, seed ${seed}`)
      }
    }
  })

  test(`coalitions of other seeds pick independently: seed ${seed}`, () => {
    for (const other of [seed + 1, seed ^ 0x80000000, seed + 0x9e3779b9, 0]) {
      const both = count(JOBS, (index) => isPicked(seed, index, 0.25) && isPicked(other, index, 0.25))
      assertRate(both, JOBS, 0.0625, `seeds ${seed} and ${other}`)
    }
  })
}

test('a hash is a whole number of 32 bits that depends on all of seed and content', () => {
  const hashes = new Set<number>()
  const contents = [0, 1, -1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 40, Number.MAX_SAFE_INTEGER]
  const seeds = [0, 1, -1, 0x7fffffff]
  for (const seed of seeds) {
    for (const content of contents) {
      const hash = hashContent(seed, content)
      assert.ok(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32, `${seed}, ${content}: ${hash}`)
      assert.is(hashContent(seed, content), hash)
      hashes.add(hash)
    }
  }
  assert.is(hashes.size, seeds.length * contents.length)
})

test('an independent liar decides anew where the same is asked again, and never tells one lie twice', () => {
  const liar = createIndependentLiar({ name: 'a', rate: 0.5, trace: 'honest' })
  const random = createRandom(7)
  const given = Array.from({ length: 1000 }, (_, index) => liar.answer(job(index, { content: 5 }), random))
  assertRate(lies(given).length, 1000, 0.5, 'seed 7')
  assert.is(new Set(lies(given)).size, lies(given).length)
})

test('two independent liars never tell the same lie', () => {
  const [a, b] = ['a', 'b'].map((name) =>
    lies(answers(createIndependentLiar({ name, rate: 1, trace: 'honest' }), 1, 1000)),
  )
  assert.is(new Set([...a!, ...b!]).size, 2000)
})

test('colluders lie on the same jobs alike, whatever their generators, the requester and the order', () => {
  const join = () => createColludingLiar({ name: 'c', seed: 9, rate: 0.25, trace: 'lying' })
  const first = answers(join(), 1, 1000)
  assert.equal(answers(join(), 2, 1000), first)
  const member = join()
  const random = createRandom(3)
  for (let index = 999; index >= 0; index--) {
    const asked = job(index, { requester: `r${index}`, jobId: `again ${index}` })
    assert.equal(member.answer(asked, random), first[index], `job ${index}`)
  }
  assert.is(new Set(lies(first)).size, lies(first).length, 'a lie is about its content')
})

test('colluders draw nothing from their generators, so that they stay alike', () => {
  const drawing = {
    next: () => {
      throw new Error('drawn')
    },
  }
  const member = createColludingLiar({ name: 'c', seed: 9, rate: 0.5, trace: 'lying' })
  for (let index = 0; index < 100; index++) member.answer(job(index), drawing)
})

test('two coalitions tell different lies, also on the jobs that both picked', () => {
  const [a, b] = ['a', 'b'].map((name) =>
    lies(answers(createColludingLiar({ name, seed: 9, rate: 0.5, trace: 'honest' }), 1, 1000)),
  )
  assert.is(a!.length, b!.length)
  assert.is(new Set([...a!, ...b!]).size, a!.length + b!.length)
})

test('a coalition that lies at a higher rate lies on all that it would lie on at a lower one', () => {
  const low = commonLies({ name: 'c', seed: 4, rate: 0.05 })
  const high = commonLies({ name: 'c', seed: 4, rate: 0.25 })
  const random = createRandom(1)
  for (let index = 0; index < 1000; index++) {
    const lie = low(job(index), random)
    if (lie !== undefined) assert.is(high(job(index), random), lie, `content ${index}`)
  }
})

for (const trace of TRACES) {
  test(`a liar's lies are traced as it was told to, its right answers honestly: ${trace}`, () => {
    const always = ownLies({ name: 'a', rate: 1 })
    for (const liar of [
      createLiar({ lies: always, trace }),
      createIndependentLiar({ name: 'a', rate: 1, trace }),
      createColludingLiar({ name: 'c', seed: 1, rate: 1, trace }),
      createAdaptiveCoalition({ name: 'c', seed: 1, rate: 1 }).join(trace),
      createSleeper({ honestJobs: 0, lies: always, trace }),
      createTargeted({ requester: 'r', lies: always, trace }),
      createWhitewasher({ honestJobs: 0, lies: always, trace }),
      createFreeRider({ name: 'f', seed: 1, rate: 1, garbage: 'own', trace }),
    ]) {
      assert.not(liar.honest)
      assert.is(traced(liar, { kind: 'lie', lie: 'l' }), trace)
      assert.is(traced(liar, { kind: 'right' }), 'honest')
    }
  })
}

test('a native liar traces its lies honestly, a tracing liar lies there too', () => {
  const always = ownLies({ name: 'a', rate: 1 })
  for (const [liar, trace] of [
    [createNativeLiar(always), 'honest'],
    [createTracingLiar(always), 'lying'],
  ] as const) {
    const answered = liar.answer(job(1), createRandom(1))
    assert.is(answered.kind, 'lie')
    assert.is(traced(liar, answered), trace)
  }
})

test('an adaptive coalition tells the truth about a content as soon as one of it was asked for a trace', () => {
  const coalition = createAdaptiveCoalition({ name: 'c', seed: 5, rate: 1 })
  const [asked, other] = [coalition.join('lying'), coalition.join('honest')]
  const random = createRandom(1)
  const lie = asked.answer(job(1), random)
  assert.equal(lie, { kind: 'lie', lie: 'c/1' })
  assert.equal(other.answer(job(2, { content: 1 }), random), lie)

  assert.is(asked.trace(job(1), lie, random), 'lying', 'the one that is asked is given up')
  for (const member of [asked, other, coalition.join('lying')]) {
    assert.equal(member.answer(job(3, { content: 1 }), random), { kind: 'right' })
    assert.equal(member.answer(job(4), random), { kind: 'lie', lie: 'c/4' }, 'on others it goes on')
  }
})

test('adaptive coalitions do not learn from one another, and lie as others do until they learn', () => {
  const init = { name: 'c', seed: 5, rate: 0.25 }
  const [one, two] = [
    createAdaptiveCoalition(init).join('lying'),
    createAdaptiveCoalition(init).join('lying'),
  ]
  const common = answers(createColludingLiar({ ...init, trace: 'lying' }), 1, 1000)
  assert.equal(answers(one, 1, 1000), common)
  for (let index = 0; index < 1000; index++) one.trace(job(index), common[index]!, createRandom(1))
  assert.is(lies(answers(one, 1, 1000)).length, 0)
  assert.equal(answers(two, 1, 1000), common)
})

test('a sleeper is honest for so many jobs, then lies at its rate, also where it was honest before', () => {
  for (const honestJobs of [0, 1, 50]) {
    const sleeper = createSleeper({ honestJobs, lies: ownLies({ name: 's', rate: 1 }), trace: 'honest' })
    const kinds = answers(sleeper, 1, 200).map(({ kind }) => kind)
    assert.is(kinds.indexOf('lie'), honestJobs)
    assert.is(kinds.filter((kind) => kind === 'lie').length, 200 - honestJobs, `${honestJobs} honest jobs`)
    assert.is(sleeper.answer(job(0), createRandom(1)).kind, 'lie')
  }
  const seed = 11
  const rare = createSleeper({ honestJobs: 50, lies: ownLies({ name: 's', rate: 0.25 }), trace: 'honest' })
  const given = answers(rare, seed, JOBS + 50)
  assert.is(lies(given.slice(0, 50)).length, 0)
  assertRate(lies(given.slice(50)).length, JOBS, 0.25, `seed ${seed}`)
})

test('each sleeper counts its own jobs', () => {
  const init = () => ({ honestJobs: 10, lies: ownLies({ name: 's', rate: 1 }), trace: 'honest' as const })
  const [awake, asleep] = [createSleeper(init()), createSleeper(init())]
  answers(awake, 1, 10)
  assert.is(awake.answer(job(10), createRandom(1)).kind, 'lie')
  assert.is(asleep.answer(job(10), createRandom(1)).kind, 'right')
})

test('sleepers that collude lie alike once they are awake', () => {
  const wake = () =>
    createSleeper({
      honestJobs: 10,
      lies: commonLies({ name: 'c', seed: 2, rate: 0.5 }),
      trace: 'lying',
    })
  const [one, two] = [answers(wake(), 1, 100), answers(wake(), 2, 100)]
  assert.equal(one, two)
  assert.is(lies(one.slice(0, 10)).length, 0)
  assert.ok(lies(one).length > 0)
})

test('a targeted liar lies to its target and to nobody else', () => {
  const liar = createTargeted({
    requester: 'victim',
    lies: ownLies({ name: 't', rate: 1 }),
    trace: 'lying',
  })
  const random = createRandom(1)
  for (let index = 0; index < 100; index++) {
    const requester = ['victim', 'bystander', 'victim2', ''][index % 4]!
    const { kind } = liar.answer(job(index, { requester }), random)
    assert.is(kind, requester === 'victim' ? 'lie' : 'right', requester)
  }
})

test('a whitewasher comes back, and behaves anew with each fresh key', () => {
  const create = () =>
    createWhitewasher({ honestJobs: 5, lies: ownLies({ name: 'w', rate: 1 }), trace: 'lying' })
  for (let key = 0; key < 3; key++) {
    const conduct = create()
    assert.is(conduct.whitewashes, true)
    assert.is(
      answers(conduct, 1, 20).findIndex(({ kind }) => kind === 'lie'),
      5,
      `key ${key}`,
    )
  }
})

test('a free-rider answers at once what it did not compute, and what it computed takes its time', () => {
  const rider = createFreeRider({ name: 'f', seed: 6, rate: 0.25, garbage: 'own', trace: 'cannot-trace' })
  const random = createRandom(1)
  let idle = 0
  for (let index = 0; index < JOBS; index++) {
    const { kind } = rider.answer(job(index), random)
    const factor = rider.serviceFactor!(job(index), random)
    assert.ok(factor > 0)
    assert.is(kind === 'lie', factor < 0.1, `job ${index}`)
    if (kind === 'lie') idle += 1
  }
  assertRate(idle, JOBS, 0.25, 'seed 6')
})

test('free-riders who give what costs least agree although they never met; those with noise do not', () => {
  for (const [garbage, different] of [
    ['same', 1],
    ['own', 200],
  ] as const) {
    const told = ['a', 'b'].flatMap((name, seed) =>
      lies(answers(createFreeRider({ name, seed, rate: 1, garbage, trace: 'honest' }), seed, 100)),
    )
    assert.is(told.length, 200)
    assert.is(new Set(told).size, different, garbage)
  }
})

test('a copier copies always, with garbage of its own for what it cannot see, and runs nothing', () => {
  const given = ['a', 'b'].flatMap((name) => answers(createCopier({ name, trace: 'honest' }), 1, 100))
  const garbage = given.flatMap((answer) => (answer.kind === 'copy' ? [answer.lie] : []))
  assert.is(new Set(garbage).size, 200)
  const copier = createCopier({ name: 'a', trace: 'busy' })
  assert.is(traced(copier, { kind: 'copy', lie: 'l' }), 'busy')
  assert.ok(copier.serviceFactor!(job(1), createRandom(1)) < 0.1)
  assert.not(copier.honest)
})

test('a proxy forwards always, and runs nothing', () => {
  const proxy = createProxy('honest')
  for (const answer of answers(proxy, 1, 100)) assert.equal(answer, { kind: 'forward' })
  assert.ok(proxy.serviceFactor!(job(1), createRandom(1)) < 0.1)
  assert.is(traced(proxy, { kind: 'forward' }), 'honest')
  assert.not(proxy.honest)
})

test('who is slow, breaks down or falls silent is honest, and traces honestly', () => {
  for (const conduct of [createSlow({ factor: 9, rate: 1 }), createCrashing(1), createSilent(1)]) {
    assert.ok(conduct.honest)
    assert.is(traced(conduct, { kind: 'right' }), 'honest')
  }
})

test('who announces another load answers and traces as it would otherwise', () => {
  const liar = createIndependentLiar({ name: 'a', rate: 0.5, trace: 'withheld' })
  const boaster = createBoaster(0.1, liar)
  assert.is(boaster.announcedFactor, 0.1)
  assert.equal(answers(boaster, 1, 100), answers(liar, 1, 100))
  assert.is(traced(boaster, { kind: 'lie', lie: 'l' }), 'withheld')
  assert.not(boaster.honest)
  assert.ok(createBoaster(10, createHonest()).honest)
  assert.is(liar.announcedFactor, undefined)
})

test('lies that begin later leave the rates of those that follow alone', () => {
  const random = createRandom(21)
  const later = afterHonestJobs(100, ownLies({ name: 'a', rate: 0.05 }))
  const told = Array.from({ length: JOBS + 100 }, (_, index) => later(job(index), random))
  assert.is(told.slice(0, 100).filter((lie) => lie !== undefined).length, 0)
  assertRate(told.filter((lie) => lie !== undefined).length, JOBS, 0.05, 'seed 21')
})

test.run()

function job(index: number, changes: Partial<FacedJob> = {}): FacedJob {
  return { jobId: `job ${index}`, content: index, requester: 'r', model: 'm', nowMs: index, ...changes }
}

/** What it answers to jobs 0 to `jobs` of one requester, each with a content of its own. */
function answers(conduct: Conduct, seed: number, jobs: number): readonly NativeAnswer[] {
  const random = createRandom(seed)
  return Array.from({ length: jobs }, (_, index) => conduct.answer(job(index), random))
}

function lies(given: readonly NativeAnswer[]): readonly string[] {
  return given.flatMap((answer) => (answer.kind === 'lie' ? [answer.lie] : []))
}

function traced(conduct: Conduct, answered: NativeAnswer): TraceConduct {
  return conduct.trace(job(0), answered, createRandom(1))
}

function count(times: number, holds: (index: number) => boolean): number {
  let hits = 0
  for (let index = 0; index < times; index++) if (holds(index)) hits += 1
  return hits
}

/** Five standard deviations of a binomial: one false alarm in a million draws. Rates 0 and 1 are met exactly. */
function assertRate(hits: number, of: number, rate: number, which: string): void {
  const deviation = Math.abs(hits - of * rate)
  const allowed = 5 * Math.sqrt(of * rate * (1 - rate))
  assert.ok(deviation <= allowed, `${which}: ${hits} of ${of}, ${deviation} off where ${allowed} are allowed`)
}

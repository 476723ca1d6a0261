/**
 * What the policy `referee` owes its people, whoever conspires: small meshes of every mix of honest and lying
 * providers, in virtual time, and random ones under loss and crashes. The checker inside the mesh throws at the first
 * broken promise.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { JobSpec } from '../../src/requester/index.ts'
import {
  createMemoryMesh,
  type MemoryBehaviour,
  type MemoryMeshInit,
  type MemoryOutcome,
} from '../fixtures/memory-mesh.ts'
import { conductOf, isHonest, TRACE_BEHAVIOURS } from '../fixtures/memory-traces.ts'

const BROKEN: readonly MemoryBehaviour[] = ['silent', 'crashing', 'badly-signing']
const KINDS: readonly MemoryBehaviour[] = ['honest', 'lying', ...BROKEN, ...TRACE_BEHAVIOURS]
/** What may be held against an honest provider: that it was of another opinion, or late. */
const HARMLESS: readonly string[] = ['agreed', 'disagreed', 'timed-out']
const DEADLINE_MS = 10_000

interface Played {
  readonly outcome: MemoryOutcome
  readonly isRight: boolean
  /** Of those asked, the honest ones that can trace when they are asked to. */
  readonly heard: number
  readonly about: string
}

function play(
  behaviours: readonly MemoryBehaviour[],
  job: Partial<JobSpec>,
  init: Partial<MemoryMeshInit> = {},
): Played {
  const about = JSON.stringify({ behaviours, ...init, ...job })
  try {
    const mesh = createMemoryMesh({ seed: 1, behaviours, ...init })
    const terms = { replicas: 2, quorum: 2, referee: true, timeoutMs: DEADLINE_MS, ...job }
    const outcome = mesh.submit(terms)
    mesh.finish(DEADLINE_MS)
    const kindOf = (provider: string) => behaviours[mesh.providers.indexOf(provider)]!
    for (const { provider, evidence } of outcome.evidence) {
      if (!isBlameless(kindOf(provider))) continue
      assert.ok(HARMLESS.includes(evidence), `an honest provider was held to have ${evidence}`)
    }
    const heard = outcome.asked.filter((provider) => canTestify(kindOf(provider))).length
    return { outcome, isRight: Math.abs(outcome.accepted ?? 1) <= 0.01, heard, about }
  } catch (cause) {
    throw new Error(`${about}: ${(cause as Error).message}`, { cause })
  }
}

function isBlameless(behaviour: MemoryBehaviour): boolean {
  return isHonest(behaviour) && !BROKEN.includes(behaviour)
}

function canTestify(behaviour: MemoryBehaviour): boolean {
  return isBlameless(behaviour) && ['prompt', 'busy once'].includes(conductOf(behaviour, 0).tracing)
}

/** Every mix of `count` providers, whatever their order. */
function* mixes(count: number, from = 0): Generator<MemoryBehaviour[]> {
  if (count === 0) return yield []
  for (let index = from; index < KINDS.length; index++) {
    for (const rest of mixes(count - 1, index)) yield [KINDS[index]!, ...rest]
  }
}

const TERMS = [false, true].flatMap((canRecompute) =>
  (['native', 'exact'] as const).map((lane) => ({ canRecompute, lane })),
)

for (const count of [1, 2, 3]) {
  test(`one honest provider among those asked is enough: every mix of ${count}`, () => {
    let [settled, runs] = [0, 0]
    for (const behaviours of mixes(count)) {
      for (const terms of TERMS) {
        for (const exposing of [false, true]) {
          const { outcome, isRight, heard, about } = play(behaviours, terms, { exposing, seed: ++runs })
          if (outcome.accepted !== undefined) settled += 1
          assert.ok(isRight || outcome.accepted === undefined || heard === 0, `a lie was accepted: ${about}`)
          const independent = behaviours.filter(canTestify).length
          const isDecidable = terms.canRecompute || !behaviours.includes('lying undecidably')
          if (independent >= (terms.canRecompute ? 1 : 2) && isDecidable) {
            // Two that lie alike and are the only ones asked are the one thing that a referee never sees.
            assert.ok(isRight || heard === 0, `no right answer: ${about} ${outcome.failure?.message}`)
          }
        }
      }
    }
    assert.ok(settled > runs / 10, `${settled} of ${runs} settled`)
  })
}

test('liars that agree are accepted as replicated and never as more; a re-run finds them out', () => {
  for (const pair of ['colluding', 'colluding natively', 'tampering'] as const) {
    for (let seed = 0; seed < 20; seed++) {
      const plain = play([pair, pair, pair], { canRecompute: true }, { seed })
      assert.is(plain.outcome.verdicts.at(-1)?.label, 'replicated', plain.about)
      assert.is(plain.isRight, pair === 'tampering', plain.about)
      const drawn = play([pair, pair, pair], { canRecompute: true, recompute: true }, { seed })
      assert.ok(drawn.isRight, drawn.about)
      assert.is(drawn.outcome.verdicts.at(-1)?.label, 'recomputed')
      const kinds = new Set(drawn.outcome.evidence.map(({ evidence }) => evidence))
      const expected = {
        colluding: 'lost-dispute',
        'colluding natively': 'contradicted-exact',
        tampering: 'agreed',
      }
      assert.equal([...kinds], [expected[pair]], drawn.about)
    }
  }
})

test('an answer is never labelled refereed on the word of two that dispute each other', () => {
  for (let seed = 0; seed < 50; seed++) {
    const { outcome, about } = play(['lying natively', 'colluding natively'], {}, { seed })
    assert.is(outcome.failure?.code, 'undecided-dispute', about)
  }
})

test('each liar is found out by its own kind, and no exposed one is asked again', () => {
  for (const liar of ['lying', 'tampering', 'parting late', 'colluding'] as const) {
    const behaviours = ['honest', 'honest', 'elsewhere', liar, liar] as const
    const mesh = createMemoryMesh({ seed: 7, behaviours, exposing: true })
    const exposed = new Set<string>()
    for (let job = 0; job < 30; job++) {
      const outcome = mesh.submit({ replicas: 3, quorum: 2, referee: true })
      assert.not(
        outcome.asked.some((provider) => exposed.has(provider)),
        liar,
      )
      mesh.finish(mesh.time.nowMs + 5000)
      for (const { provider, evidence } of outcome.evidence) {
        if (evidence === 'fraud-proof') exposed.add(provider)
      }
    }
    // Who only tampers with its trace answers rightly, and is never asked for a trace.
    assert.is(exposed.size, liar === 'tampering' ? 0 : 2, liar)
  }
})

test('a dispute blocks no other job', () => {
  const behaviours: MemoryBehaviour[] = ['honest', 'honest', 'honest', 'lying and mute', 'lying and busy']
  const mesh = createMemoryMesh({ seed: 3, behaviours })
  const outcomes = Array.from({ length: 40 }, () => mesh.submit({ replicas: 2, quorum: 2, referee: true }))
  mesh.finish(DEADLINE_MS)
  let quick = 0
  for (const { accepted, verdicts, endedAtMs, demands } of outcomes) {
    assert.ok(accepted === 0 || demands.length === 0 || verdicts.length === 0)
    if (demands.length === 0 && endedAtMs! < 1000) quick += 1
  }
  assert.ok(quick >= 8, `${quick} of 40 saw no dispute, and waited for none`)
})

test('whatever happens, every job ends once, by its deadline, and no honest provider is condemned', () => {
  const arbitraryInit = fc.record({
    seed: fc.nat(),
    loss: fc.constantFrom(0, 0.05, 0.3),
    latencyMs: fc.constantFrom(0, 5, 200),
    slowMs: fc.constantFrom(600, 3000),
    exposing: fc.boolean(),
    ownRun: fc.constantFrom(30, 2000, 'fails' as const),
    behaviours: fc.array(fc.constantFrom(...KINDS, 'honest' as const, 'honest' as const), {
      maxLength: 8,
      size: 'max',
    }),
  })
  const arbitraryJobs = fc.array(
    fc.record({
      atMs: fc.nat(1000),
      replicas: fc.integer({ min: 1, max: 4 }),
      referee: fc.boolean(),
      recompute: fc.boolean(),
      canRecompute: fc.boolean(),
      lane: fc.constantFrom('native' as const, 'exact' as const),
      timeoutMs: fc.constantFrom(1, 400, 5000),
      observeMs: fc.constantFrom(0, 1000),
      cancelAfterMs: fc.option(fc.nat(1000)),
    }),
    { minLength: 1, maxLength: 6, size: 'max' },
  )
  const arbitraryFaults = fc.array(
    fc.record({ atMs: fc.nat(2000), index: fc.nat(7), kind: fc.constantFrom('crash', 'drain', 'expose') }),
    { maxLength: 3, size: 'max' },
  )
  fc.assert(
    fc.property(arbitraryInit, arbitraryJobs, arbitraryFaults, (init, jobs, faults) => {
      const mesh = createMemoryMesh(init)
      const faulted = new Set<string>()
      for (const { atMs, index, kind } of faults) {
        const provider = mesh.providers[index]
        if (provider === undefined || (kind === 'expose' && isBlameless(init.behaviours[index]!))) continue
        faulted.add(provider)
        mesh.time.at(atMs, () => mesh[kind as 'crash' | 'drain' | 'expose'](provider))
      }
      const outcomes: MemoryOutcome[] = []
      for (const [number, { atMs, cancelAfterMs, ...job }] of jobs.entries()) {
        const id = `job-${number}`
        mesh.time.at(atMs, () => {
          const outcome = mesh.submit({ id, ...job })
          outcomes.push(outcome)
          mesh.time.at(atMs + job.timeoutMs + 1, () => assert.ok(outcome.closedAtMs !== undefined, id))
        })
        if (cancelAfterMs !== null) mesh.time.at(atMs + cancelAfterMs, () => mesh.cancel(id))
      }
      mesh.finish(DEADLINE_MS)
      for (const { evidence, accepted, verdicts } of outcomes) {
        for (const { provider, evidence: kind } of evidence) {
          const behaviour = init.behaviours[mesh.providers.indexOf(provider)]!
          if (isBlameless(behaviour)) assert.ok(HARMLESS.includes(kind), `${provider} ${kind}`)
        }
        // The requester's own run is never wrong, whatever was lost on the way.
        if (verdicts.at(-1)?.label === 'recomputed') assert.ok(Math.abs(accepted!) <= 0.01)
      }
    }),
    { numRuns: 300 },
  )
})

test('the same mesh and seed end alike', () => {
  const once = () => play(['honest', 'lying', 'elsewhere', 'colluding'], {}, { seed: 11, loss: 0.1 }).outcome
  assert.equal(once(), once())
})

test.run()

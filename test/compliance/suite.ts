/**
 * What a mesh owes its people, whatever carries it: the same scenarios run in memory in virtual time and over real
 * libp2p. A harness starts providers that behave in a given way and lets one requester submit jobs.
 */
import * as assert from 'uvu/assert'
import type { EvidenceKind, JobFailure } from '../../src/requester/index.ts'
import type { Verdict } from '../../src/verification/index.ts'

export type Behaviour =
  | 'honest'
  /** Answers with wrong outputs and a valid receipt. */
  | 'lying'
  /** Takes the job and never answers. */
  | 'silent'
  /** Answers rightly, but only after `slowMs`. */
  | 'slow'
  /** Always says busy. */
  | 'busy'
  /** Dies while it works on the first job. */
  | 'crashing'
  | 'answering-twice'
  /** Its receipt is for another job. */
  | 'answering-another-job'
  /** Its receipt has a broken signature. */
  | 'badly-signing'

export interface MeshHarness {
  /** Ids of the providers, in the order of the behaviours that were asked for. */
  readonly providers: readonly string[]
  /** Resolves when the job has closed (or failed). Never rejects for a reason of the job's. */
  submit(job: ComplianceJob): Promise<ComplianceOutcome>
  stop(): Promise<void>
}

export interface ComplianceJob {
  readonly replicas: number
  readonly timeoutMs: number
}

export interface ComplianceOutcome {
  /** Undefined when the job failed. */
  readonly isRight: boolean | undefined
  readonly verdict: Verdict | undefined
  readonly failure: JobFailure | undefined
  readonly evidence: readonly { readonly provider: string; readonly evidence: EvidenceKind }[]
  /** From submission to the answer or the failure. */
  readonly elapsedMs: number
}

export interface MeshTimes {
  /** After which another provider is asked (`JobSpec.attemptTimeoutMs`). */
  readonly attemptTimeoutMs: number
  /** How long a job without enough providers keeps looking (`RequesterLimits.patienceMs`). */
  readonly patienceMs: number
  /** How long a `slow` provider takes: more than `attemptTimeoutMs`, less than half of `timeoutMs`. */
  readonly slowMs: number
  /** How long an answered job waits for the rest: more than `attemptTimeoutMs`. */
  readonly observeMs: number
  /** Of every job, unless the scenario says otherwise. */
  readonly timeoutMs: number
}

/** Resolves when the requester knows all providers. Their model is the same everywhere. */
export type CreateMesh = (behaviours: readonly Behaviour[], times: MeshTimes) => Promise<MeshHarness>

export interface Scenario {
  /** A law. */
  readonly name: string
  run(createMesh: CreateMesh, times: MeshTimes): Promise<void>
}

export const SCENARIOS: readonly Scenario[] = [
  scenario('three honest providers agree', ['honest', 'honest', 'honest'], async ({ mesh, times }) => {
    const outcome = await mesh.submit({ replicas: 3, timeoutMs: times.timeoutMs })
    expectRight(outcome)
    assert.is(outcome.verdict?.label, 'replicated')
    assert.equal(outcome.verdict?.agreed, [...mesh.providers].sort())
    assert.equal(
      sorted(outcome.evidence),
      sorted(mesh.providers.map((provider) => ({ provider, evidence: 'agreed' }))),
    )
  }),
  scenario('one provider alone is only signed', ['honest'], async ({ mesh, times }) => {
    const outcome = await mesh.submit({ replicas: 1, timeoutMs: times.timeoutMs })
    expectRight(outcome)
    assert.is(outcome.verdict?.label, 'signed')
  }),
  scenario('a liar is outvoted and found out', ['honest', 'lying', 'honest'], async ({ mesh, times }) => {
    const outcome = await mesh.submit({ replicas: 3, timeoutMs: times.timeoutMs })
    expectRight(outcome)
    assert.equal(outcome.verdict?.disagreed, [mesh.providers[1]])
    expectEvidence(outcome, mesh.providers[1], 'disagreed')
  }),
  scenario(
    'two liars of five do not prevail',
    ['lying', 'honest', 'honest', 'lying', 'honest'],
    async ({ mesh, times }) => {
      const outcome = await mesh.submit({ replicas: 5, timeoutMs: times.timeoutMs })
      expectRight(outcome)
      assert.equal(outcome.verdict?.disagreed, [mesh.providers[0], mesh.providers[3]].sort())
    },
  ),
  scenario(
    'a silent provider holds nothing up, and is remembered',
    ['honest', 'silent', 'honest', 'honest'],
    async ({ mesh, times }) => {
      const outcome = await mesh.submit({ replicas: 4, timeoutMs: times.timeoutMs })
      expectRight(outcome)
      expectEvidence(outcome, mesh.providers[1], 'timed-out')
    },
  ),
  scenario(
    'a lone silent provider is replaced by the other',
    ['silent', 'honest'],
    async ({ mesh, times }) => {
      // Which of the two is asked first is drawn: in six jobs the silent one is met, or the answer was there at once.
      for (let job = 0; job < 6; job++)
        expectRight(await mesh.submit({ replicas: 1, timeoutMs: times.timeoutMs }))
    },
  ),
  scenario('a slow but honest answer still counts', ['honest', 'slow'], async ({ mesh, times }) => {
    const outcome = await mesh.submit({ replicas: 2, timeoutMs: times.timeoutMs })
    expectRight(outcome)
    assert.equal(outcome.verdict?.agreed, [...mesh.providers].sort())
    assert.not(outcome.evidence.some(({ evidence }) => evidence === 'timed-out'))
  }),
  scenario(
    'a busy provider is not held against it',
    ['honest', 'busy', 'honest', 'honest'],
    async ({ mesh, times }) => {
      for (let job = 0; job < 3; job++) {
        const outcome = await mesh.submit({ replicas: 3, timeoutMs: times.timeoutMs })
        expectRight(outcome)
        assert.is(outcome.verdict?.agreed.length, 3)
        assert.not(outcome.evidence.some(({ provider }) => provider === mesh.providers[1]))
      }
    },
  ),
  scenario(
    'a job outlives the provider that worked on it',
    ['honest', 'crashing', 'honest', 'honest'],
    async ({ mesh, times }) => {
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, () => mesh.submit({ replicas: 3, timeoutMs: times.timeoutMs })),
      )
      for (const outcome of outcomes) {
        expectRight(outcome)
        assert.not(
          outcome.evidence.some(({ provider }) => provider === mesh.providers[1]),
          'a cut cable is no fault',
        )
      }
    },
  ),
  scenario(
    'who answers twice counts once',
    ['answering-twice', 'honest', 'honest'],
    async ({ mesh, times }) => {
      const outcome = await mesh.submit({ replicas: 3, timeoutMs: times.timeoutMs })
      expectRight(outcome)
      assert.equal(outcome.verdict?.agreed, [...new Set(outcome.verdict?.agreed)])
      assert.is(outcome.verdict?.asked, 3)
    },
  ),
  scenario('two answers of one provider are no quorum', ['answering-twice'], async ({ mesh, times }) => {
    const outcome = await mesh.submit({ replicas: 2, timeoutMs: times.timeoutMs })
    assert.is(outcome.failure?.code, 'not-enough-providers')
  }),
  ...(['answering-another-job', 'badly-signing'] as const).map((behaviour) =>
    scenario(
      `an answer is refused from one ${behaviour}`,
      ['honest', behaviour, 'honest', 'honest'],
      async ({ mesh, times }) => {
        const outcome = await mesh.submit({ replicas: 4, timeoutMs: times.timeoutMs })
        expectRight(outcome)
        assert.not(outcome.verdict?.agreed.includes(mesh.providers[1]!))
        expectEvidence(outcome, mesh.providers[1], 'violated-protocol')
      },
    ),
  ),
  scenario(
    'too few providers: says how many were found and needed',
    ['honest', 'honest'],
    async ({ mesh, times }) => {
      const outcome = await mesh.submit({ replicas: 3, timeoutMs: times.timeoutMs })
      assert.is(outcome.failure?.code, 'not-enough-providers')
      assert.is(outcome.failure?.found, 2)
      assert.is(outcome.failure?.needed, 3)
      assert.ok(outcome.elapsedMs < times.timeoutMs)
    },
  ),
  scenario(
    'all silent: the job still ends by its deadline',
    ['silent', 'silent', 'silent'],
    async ({ mesh, times }) => {
      const timeoutMs = times.attemptTimeoutMs * 3
      const outcome = await mesh.submit({ replicas: 3, timeoutMs })
      assert.is(outcome.failure?.code, 'deadline')
      assert.ok(outcome.elapsedMs < timeoutMs + times.attemptTimeoutMs, `took ${outcome.elapsedMs} ms`)
      for (const provider of mesh.providers) expectEvidence(outcome, provider, 'timed-out')
    },
  ),
  scenario(
    'many jobs at once all end rightly',
    ['honest', 'honest', 'lying', 'honest', 'honest'],
    async ({ mesh, times }) => {
      const outcomes = await Promise.all(
        Array.from({ length: 32 }, () => mesh.submit({ replicas: 3, timeoutMs: times.timeoutMs })),
      )
      for (const outcome of outcomes) expectRight(outcome)
    },
  ),
]

interface Setting {
  readonly mesh: MeshHarness
  readonly times: MeshTimes
}

function scenario(
  name: string,
  behaviours: readonly Behaviour[],
  play: (setting: Setting) => Promise<void>,
): Scenario {
  return {
    name,
    run: async (createMesh, times) => {
      const mesh = await createMesh(behaviours, times)
      try {
        await play({ mesh, times })
      } finally {
        await mesh.stop()
      }
    },
  }
}

function expectRight(outcome: ComplianceOutcome): void {
  assert.is(outcome.failure, undefined, outcome.failure?.message)
  assert.is(outcome.isRight, true)
}

function expectEvidence(
  outcome: ComplianceOutcome,
  provider: string | undefined,
  evidence: EvidenceKind,
): void {
  const kinds = outcome.evidence.filter((entry) => entry.provider === provider).map((entry) => entry.evidence)
  assert.equal(kinds, [evidence])
}

function sorted(evidence: readonly { provider: string; evidence: string }[]): string[] {
  return evidence.map(({ provider, evidence: kind }) => `${provider} ${kind}`).sort()
}

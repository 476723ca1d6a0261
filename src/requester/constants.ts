export interface RequesterLimits {
  /** Jobs in flight; one more fails with `overloaded`. */
  readonly jobsMax: number
  /** Candidates remembered a job. */
  readonly candidatesMax: number
  /** Requests sent for one job, repetitions to busy providers included. */
  readonly dispatchesMax: number
  /** How long a job without enough providers keeps looking for more. */
  readonly patienceMs: number
  /** Between two searches of one job: the first pause, doubled each time up to the second value. */
  readonly findBackoffMs: number
  readonly findBackoffMsMax: number
  /** The least pause before a busy provider is asked again, doubled each time that it says busy. */
  readonly busyBackoffMs: number
  /** Traces demanded for one job, repetitions to busy providers included. */
  readonly tracesMax: number
  /** Pairs of traces judged for one job. */
  readonly judgementsMax: number
  /** Exposed keys remembered by this machine. */
  readonly exposedMax: number
  /** How long somebody who was found out without a proof is not drawn where the own run can stand in. */
  readonly distrustMs: number
  /** How many providers are worked with where a rule of replication decides, unless the load asks for more. */
  readonly poolSize: number
  /**
   * A provider that takes this many times as long as expected is late: another is asked in its place, and it is still waited
   * for. Only where service times of the model were measured; never before the second value.
   */
  readonly lateFactor: number
  readonly lateMsMin: number
  /** Share of draws, from 0 to 1, that goes to providers outside that circle. */
  readonly newcomerShare: number
  /** Largest share of all executions that one provider gets, where there are others. */
  readonly shareMax: number
  /** What a traced run costs its provider, in native executions: it counts into the share. */
  readonly traceExecutions: number
  /**
   * Of all requests, the share that may be repeated elsewhere because they are slow, beyond a first `hedgesBurst` of them:
   * without a bound, a mesh that is overloaded once stays so, since everybody asks everything twice.
   */
  readonly hedgeShare: number
  readonly hedgesBurst: number
}

export const REQUESTER_LIMITS: RequesterLimits = {
  // Each holds its inputs and outputs in memory; a page of text is about a hundred.
  jobsMax: 1024,
  // Two random choices among 64 are as good as among all.
  candidatesMax: 64,
  // 16 providers, each of which may say busy a few times.
  dispatchesMax: 64,
  // A mesh of five forms in about 3 s (DHT and gossip on loopback).
  patienceMs: 3000,
  findBackoffMs: 100,
  findBackoffMsMax: 1000,
  // Twice a round trip on a LAN with a little work: less would only be noise to the provider.
  busyBackoffMs: 20,
  // 16 providers, of whom each may say busy once: a trace costs its provider 3 to 20 native runs.
  tracesMax: 32,
  // Each judgement that finds a loser takes one of 16 providers away; as many again may stay undecided.
  judgementsMax: 32,
  // A few MiB of text. The books of the node remember for good; this is what its running jobs need.
  exposedMax: 16_384,
  // Long enough for a page or a batch of them, short enough to be forgotten where two engines honestly part.
  distrustMs: 10 * 60_000,
  // The fewest among whom a share of three per cent each, with room for chance, carries everything.
  poolSize: 40,
  // Inputs of one model differ: a dense page takes three times as long as a sparse one.
  lateFactor: 3,
  // A pause of the garbage collector, a lost packet and a cold cache together; a second execution costs more than waiting.
  lateMsMin: 500,
  // Each such draw costs a second execution; a key in fifty draws is enough to fill places that become free.
  newcomerShare: 0.02,
  shareMax: 0.028,
  // Measured on the models of the demo: see `bench/README.md`.
  traceExecutions: 9.5,
  // A retry budget as in Finagle and gRPC, where a fifth is usual; a third of a mesh may be silent.
  hedgeShare: 0.3,
  hedgesBurst: 64,
}

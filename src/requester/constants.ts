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
}

export const REQUESTER_LIMITS: RequesterLimits = {
  // Each holds its inputs and outputs in memory; a page of text is about a hundred.
  jobsMax: 1024,
  // Two random choices among 64 are as good as among all.
  candidatesMax: 64,
  // 16 providers, each of which may say busy a few times.
  dispatchesMax: 64,
  // A mesh of five forms in about 3 s (FACTS: DHT and gossip on loopback).
  patienceMs: 3000,
  findBackoffMs: 100,
  findBackoffMsMax: 1000,
  // Twice a round trip on a LAN with a little work: less would only be noise to the provider.
  busyBackoffMs: 20,
}

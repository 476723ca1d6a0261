export interface ProviderLimits {
  /** Executions of one model at the same time. */
  readonly concurrency: number
  /** Rows in one batch. */
  readonly batchRowsMax: number
  /** The longest that a batch is held open for requests that are probably about to come. */
  readonly batchWindowMs: number
  /** Jobs that wait, for one model. */
  readonly queuedMax: number
  /** Jobs that wait, for one model and one requester. */
  readonly queuedPerRequesterMax: number
  /** Input bytes that wait or run, over all models. */
  readonly inputBytesMax: number
  /** Requests that wait for one and the same job. */
  readonly requestsPerJobMax: number
  /** Answers remembered, and their bytes. */
  readonly answersMax: number
  readonly answersBytesMax: number
  /** What a busy provider tells at least and at most. */
  readonly retryAfterMsMin: number
  readonly retryAfterMsMax: number
  /** How long an execution that nobody waits for may go on before it is ended. */
  readonly abortGraceMs: number
  /** Between two announcements of one model. */
  readonly announceIntervalMs: number
  /** A change of the expected wait below this is not worth telling. */
  readonly announceChangeMs: number
}

export const PROVIDER_LIMITS: ProviderLimits = {
  // onnxruntime uses all cores for one execution; a second one would only slow the first.
  concurrency: 1,
  // Beyond 16 rows throughput no longer grows on few cores, while every row waits for all.
  batchRowsMax: 16,
  // A round trip on a LAN.
  batchWindowMs: 3,
  // A page of text is about a hundred lines, sent at once.
  queuedMax: 256,
  queuedPerRequesterMax: 128,
  // Two of the largest payloads, or a hundred pages' worth of lines.
  inputBytesMax: 128 * 1024 * 1024,
  // A requester reconnects a few times at most; more is a way to make us send an answer over and over.
  requestsPerJobMax: 4,
  answersMax: 1024,
  answersBytesMax: 64 * 1024 * 1024,
  retryAfterMsMin: 20,
  retryAfterMsMax: 30_000,
  // Ending an execution ends its process, and loading a model again costs about this: a requester that hangs up
  // must not be able to make us reload for each request.
  abortGraceMs: 1000,
  // Delivery of one gossip message costs 2-3 ms of CPU at every receiver (FACTS).
  announceIntervalMs: 500,
  // Less than one round trip over the internet does not change who should be asked.
  announceChangeMs: 50,
}

/** Executions whose times make the median. */
export const SERVICE_SAMPLES = 15
/** Timers are not set closer than this, so that a thousand deadlines cost no thousand wake-ups. */
export const SWEEP_MS_MIN = 5
/** Remembered answers are looked through no more often than this. */
export const ANSWERS_SWEEP_MS = 1000
/** The window is at most this part of an execution: waiting must cost less than a shared execution saves. */
export const WINDOW_SERVICE_SHARE = 0.1

export interface ProviderLimits {
  /** Executions of one model that its runtime has at once, where batches do not help. It runs one after the other. */
  readonly handedOverMax: number
  /** Jobs in one batch, at most; what is best for a model is learnt. */
  readonly batchJobsMax: number
  /** Rows in one batch, at most. */
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
  // The one that runs, and the next at hand: with 1 MB of outputs, the way to the node and back cost 1.1 ms of every 12.
  handedOverMax: 2,
  // Beyond this every job waits long for all, and from 16 to 32 gains were a quarter at most.
  batchJobsMax: 32,
  // Engines hold a layer's values for all rows at once.
  batchRowsMax: 32,
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
  // Delivery of one gossip message costs 2-3 ms of CPU at every receiver.
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

/** A batch that saves less of its time than this is not worth that its jobs wait for one another and differ in their last bits. */
export const BATCH_GAIN_MIN = 0.05
/** Executions by which a size is judged. On a machine that others load, the least of three still was off by a half at times. */
export const BATCH_TRIAL_SAMPLES = 5
/** So many executions a trial may keep the runtime from getting work ahead, which is when queues form. */
export const BATCH_TRIAL_EXECUTIONS = 8
/** All sizes are tried anew after so many executions: some 25 of them then run at a size that is not the best. */
export const BATCH_TRIAL_INTERVAL = 500
/** What an execution costs beside the model: two messages between processes. It is all that batches save for tiny models. */
export const EXECUTION_OVERHEAD_MS = 0.1

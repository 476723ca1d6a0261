/** Replicas of a job that says nothing: the smallest number with which a single liar is outvoted. */
export const REPLICAS_DEFAULT = 3
/** With a referee two are enough to notice a lie, and one honest one is enough to settle it. */
export const REFEREE_REPLICAS = 2
/** The comparison of answers is cubic in their number at worst; nobody gains from more. */
export const REPLICAS_MAX = 15
/** Replacements that may be asked beyond `replicas` when providers fail or disagree. */
export const REPLACEMENTS_MAX = 6
export const JOB_TIMEOUT_DEFAULT_MS = 30_000
export const JOB_TIMEOUT_MAX_MS = 600_000
/** A provider that has not answered after this part of the job's time is given up for another, while there is time. */
export const ATTEMPT_TIMEOUT_PART = 0.45
/** How long, after the answer is known, the remaining replicas are waited for, for the record. */
export const OBSERVE_DEFAULT_MS = 10_000
/** How long one search for providers goes on. */
export const FIND_TIMEOUT_MS = 6_000
/** After the last provider record arrived: how long announcements of freshly dialled providers are waited for. */
export const ANNOUNCEMENT_GRACE_MS = 400
/** How many providers that a search turned up are dialled at most. */
export const FIND_DIAL_MAX = 16
/**
 * How long offers for an open call are taken. Gossip crosses a mesh in a few hops of up to 150 ms each, providers spread
 * their answers over a fifth of it, and these take as many hops back.
 */
export const OFFER_WINDOW_MS = 1_500
/** Calls for a model that is only to be described, while nobody answers; a job has its own patience. */
export const CALLS_UNANSWERED_MAX = 3
/** Offers of a call from which further jobs about its model draw; then who offered may be busy or gone. */
export const OFFERS_FRESH_MS = 20_000
/** Models whose offers are kept. */
export const CALLED_MODELS_MAX = 32
/** Whoever offered itself and was drawn is dialled for so long. */
export const OFFER_DIAL_MS = 2_000
/**
 * Where some of those who were drawn cannot be reached, or are of one owner, so many are dialled at once, so many for one
 * search, and no more once it has taken so long: offers cost nothing, and addresses in them need not exist.
 */
export const OFFER_DIALS_PARALLEL = 8
export const OFFER_DIALS_MAX = 128
export const OFFERS_REACH_MS = 8_000
/** Keys that offered what they do not have are remembered. */
export const VAIN_OFFERS_MAX = 1_024
/**
 * Of the time that one provider is waited for, how much it has to commit to its answer: the rest is for showing it. And of
 * what is left of the job's own time.
 */
export const COMMIT_TIMEOUT_PART = 0.75
/** Models whose manifest is kept in memory. */
export const DESCRIPTIONS_MAX = 64
/** Bytes digested before the event loop gets its turn: about 0.15 ms. */
export const DIGEST_SLICE_BYTES = 262_144
/** Time for running work when a node stops. */
export const DRAIN_DEFAULT_MS = 10_000
/** After that, for the last answers to leave: 8 MB at 32 Mbit/s. */
export const FLUSH_MS = 2_000
/** How much a provider's clock may differ from a requester's before a job counts as expired. */
export const CLOCK_SKEW_MAX_MS = 5 * 60_000
/** Each model is a process; a volunteer's machine is not a data centre. */
export const PROVIDED_MODELS_MAX = 32
/** Models whose gossip a requester listens to; the one that was asked of longest ago gives way. */
export const INTERESTS_MAX = 32
/** Searches under way at once, one a model. */
export const SEARCHES_MAX = 16
/** Providers that are asked for the description of a model before giving up. */
export const DESCRIBE_TRIES_MAX = 15
/** Of those, asked at once: a megabyte comes from each that answers, and one that is silent holds nobody up. */
export const DESCRIBE_PARALLEL = 3
/** Of those who answered an open call, drawn to be asked. */
export const DESCRIBE_CALLED = 2 * DESCRIBE_PARALLEL
export const DESCRIBE_TIMEOUT_MS = 5_000
/**
 * Of the machine's memory, what one model's process may have. A stranger's inputs decide how much it takes: text
 * recognition takes 3.7 GB and 20 s for a line of 27 MB, and four times that for one twice as long.
 */
export const MODEL_MEMORY_PART = 0.5
/**
 * Models whose exact lane's process is started and run once before anybody needs it: a dispute takes 1.5 s then instead of
 * 6. Each takes a second of the processor when a node starts, and a hundred megabytes.
 */
export const WARM_LANES_MAX = 4
/** Of memory that must be free for such a process to be started, and to stay while it has nothing to do. */
export const WARM_FREE_BYTES_MIN = 1024 * 1024 * 1024
/** A process that large inputs have made larger than this is given up when it has nothing to do. */
export const WARM_BYTES_MAX = 512 * 1024 * 1024
/** Processes that referee, one a model: each takes a hundred megabytes, and disputes are about few models at a time. */
export const REFEREES_MAX = 4
/** Answers that are remembered in case a key on which they rest is exposed: hours of a busy client. */
export const RECHECKED_JOBS_MAX = 4_096
/** Whoever was found out, so that it is told of once; as many as a ledger remembers. */
export const FOUND_OUT_MAX = 10_240
/** Of those who are remembered and not about, how many are told of at most. */
export const REMEMBERED_SHOWN_MAX = 1_024
/** Share of jobs that one provider would be enough for, but two are asked: what a provider risks that lies once it is trusted. */
export const FLOOR_RATE_DEFAULT = 0.03
/** As in announcements. */
export const INSTRUCTION_SET_LENGTH_MAX = 64
/** Beyond it a risk divided by it is smaller than what sixteen newcomers that agree leave. */
export const VALUE_MAX = 1e6
/** A peer that was silent in a dispute has this long to answer a ping; if it does not, the network is to blame. */
export const ALIVE_TIMEOUT_MS = 2_000
/** To verify a proof of this node's own before it is told of. */
export const PROOF_VERIFY_MS = 30_000
/** A dispute takes one to three seconds, many times that on a busy machine; then those that wait for its parties go on. */
export const DISPUTE_HOLD_MS_MAX = 20_000
/**
 * A native answer is held against a provider only where it lies this many tolerances off its own exact run. Text recognition
 * parts by up to 2.6e-4 between the two engines on some lines of the demo's page, five times its tolerance.
 */
export const CONTRADICTION_FACTOR = 20
/** But never more than this: rounding weights to 8 bits lands at 1e-2. */
export const CONTRADICTION_TAU_MAX = 1e-2
/** A native run takes milliseconds, and a process half a second to start: slower than this, a replay says nothing. */
export const REPLAY_MS_MAX = 10_000
/** Replays under way at once; one more says nothing. As many as one job has providers. */
export const REPLAYS_MAX = 16
/** Processes that replay, one a model: contradictions are rare, and about few models at a time. */
export const REPLAYERS_MAX = 2
/** How long such a process is kept without work: whoever was caught once is asked again within a page. */
export const REPLAYER_IDLE_MS = 60_000
/** How long somebody who checks an answer again has it for itself: the longest job, and a trace before it. */
export const RECEIPT_CLAIM_MS = 2 * JOB_TIMEOUT_MAX_MS
/** Attempts to check an answer again, each by another process or after a restart: without a mesh none succeeds. */
export const RECEIPT_TRIES_MAX = 3
/** How long the index of receipts may be waited for, which stops the event loop: another process writes for under 1 ms. */
export const RECEIPT_LOCK_MS_MAX = 200
/** Canaries under way at once, one a model: each has a dispute at most, beside those of the person's own jobs. */
export const CANARIES_MAX = 4
/** Models whose recent jobs give canaries their sizes. */
export const CANARY_MODELS_MAX = 64
/** Of each model: a page of text. */
export const CANARY_SHAPES_MAX = 64
/** How many of those are tried before sizes are guessed; a model that took one takes the others too. */
export const CANARY_SHAPES_TRIED = 4
/** Kinds of canaries of which is known whether they do harm: every size of a few pages. */
export const CANARY_CHECKS_MAX = 1_024
/** To find that out: two processes start, and the exact lane runs a large image. */
export const CANARY_CHECK_MS_MAX = 30_000

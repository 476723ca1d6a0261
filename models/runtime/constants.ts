/** A frame's head is JSON of a few hundred bytes an entry; the longest is a signature with 1,024 names of 256 bytes. */
export const FRAME_HEAD_BYTES_MAX = 1024 * 1024
/** Inputs or outputs of one execution that do not go through the slab: eight payloads of the largest size. */
export const FRAME_TAIL_BYTES_MAX = 512 * 1024 * 1024
/**
 * Of a request that does not go through the slab, what a process keeps room for: the activations of text detection's widest
 * step, 26 MB. A fresh buffer costs the system 3 ms a megabyte to hand out on a machine in a sandbox.
 */
export const LARGE_BYTES_KEPT = 32 * 1024 * 1024
/** Shared memory of one execution in each direction. Containers often give 64 MiB to /dev/shm for everything. */
export const SLAB_BYTES = 4 * 1024 * 1024
/** Below this a payload travels inline: one more system call costs more than copying through the socket's buffer does. */
export const SLAB_PAYLOAD_BYTES_MIN = 16 * 1024
/** Below this a digest is made on the spot: handing it to another thread costs as much (16 us at 32 KB). */
export const BACKGROUND_DIGEST_BYTES_MIN = 32 * 1024
/**
 * Executions that a process has at once: one that it runs, and one that lies ready, so that it need not wait for the
 * node's thread in between. The slab has two places.
 */
export const HANDED_OVER_MAX = 2

/** First wait after a crash, doubled with each further one. */
export const BACKOFF_MS_MIN = 250
/** A model that keeps crashing costs one start in this time, and a repaired one is not given up for long. */
export const BACKOFF_MS_MAX = 30_000
/** A process that lived this long has shown that the crash before it was no habit. */
export const BACKOFF_RESET_MS = 60_000
/** Loading is mostly reading the file and optimising the graph: seconds for the largest models that fit one process. */
export const LOAD_TIMEOUT_MS = 120_000
/** About what ending and starting a process costs: an aborted execution that ends within this spares it. */
export const ABORT_GRACE_MS = 100
/** How often a process's memory is looked at. A faster grower is stopped by the operating system. */
export const MEMORY_POLL_MS = 1_000
/** Executions waiting in one runtime; the provider's own queue is the real bound. */
export const QUEUE_MAX = 1_024
/** Characters kept of a line that the engine prints, and lines a second. */
export const LOG_LINE_CHARS_MAX = 500
export const LOG_LINES_PER_SECOND_MAX = 20

/** The build that the exact lane is defined by: `ort-wasm-simd-threaded.wasm` of onnxruntime-web. */
export const EXACT_ENGINE_VERSION = '1.30.0'
export const EXACT_WASM_SHA256 = '3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2'
/** Of the 4 GiB that it could have: an operator that explodes ends here, not with the machine's memory. */
export const WASM_HEAP_BYTES_MAX = 2 * 1024 * 1024 * 1024
/** Of values of one run that are needed at one time: of a model of text detection at 4,000 x 4,000 pixels about half. */
export const LIVE_BYTES_MAX = 1024 * 1024 * 1024
/**
 * Operators kept ready to run: creating one anew costs 0.3 to 0.8 ms, more than most take to run. Each has one place, so
 * that whoever chooses their operands cannot fill the heap with variants.
 */
export const SESSIONS_MAX = 8_192
/** Of their models, which is mostly weights; in the heap they are about twice that. Those beyond are made anew each time. */
export const SESSIONS_BYTES_MAX = 256 * 1024 * 1024
/**
 * Room that the heap is given when a model is loaded, for the constants of its largest step: where the first is enough for
 * what the engine starts with, nothing is gained; beyond the last, loading would take seconds for one step of many.
 */
export const RESERVED_BYTES_MIN = 4 * 1024 * 1024
export const RESERVED_BYTES_MAX = 256 * 1024 * 1024
/** A heap that has grown beyond this is given up after the request that grew it, with its process. */
export const WASM_HEAP_BYTES_KEPT = 1024 * 1024 * 1024
/** Traces are rare, and come in bursts: a dispute asks for one and then for single steps of it. */
export const EXACT_IDLE_MS = 5 * 60 * 1000

/**
 * onnxruntime-web's plain WASM build, driven through its C interface: one thread, no optimisation, values that stay in
 * its heap from one operator to the next.
 *
 * Not through the package's own JavaScript, for two reasons. That one writes a tensor to address 0 where the heap has no
 * room for it, over the engine's own data, and what is computed afterwards is wrong without a sign; here every allocation
 * is checked, the heap has a bound, and an engine that was once refused memory is never believed again. And it
 * copies each value out of the heap and into it again for whoever reads it, which costs more than most operators do.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { type DType, ELEMENT_BYTES } from '../tensor/index.ts'
import type { Value } from '../trace/index.ts'
import { EXACT_ENGINE_VERSION, EXACT_WASM_SHA256, WASM_HEAP_BYTES_MAX } from './constants.ts'
import { createNaNScan } from './nan-scan.ts'
import { isRefusal } from './refusal.ts'
import { RuntimeError } from './runtime.ts'
import { type GlueModule, type Ort, type WasmImports, type WasmMemory, wasm } from './wasm-api.ts'

/** A tensor in the engine's heap. */
export interface WasmValue {
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly bytes: number
  /** Where its elements lie. */
  readonly at: number
  /** The engine's own object. */
  readonly handle: number
  /** Whether the memory at `at` is ours to free: of what was brought in. */
  readonly isOwn: boolean
}

export interface WasmSession {
  readonly handle: number
  readonly inputNames: number
  readonly inputs: number
  readonly outputNames: number
  readonly outputs: number
  readonly allocations: readonly number[]
}

/**
 * Every function throws RuntimeError `run-failed` where the engine refuses what it was given, `out-of-memory` where it did
 * not have the room, and `crashed` where it broke. After the last two `isSpent` is true and every further call throws.
 */
export interface WasmEngine {
  /** Whether it ran out of memory or broke, so that nothing it says may be believed any more. */
  isSpent(): boolean
  /** The heap never shrinks. */
  heapBytes(): number
  /** Has the system give the heap that much room now: the first touch of a megabyte costs as much as ten copies of it. */
  reserve(bytes: number): void
  /** `external` holds what the model names as external data, by location. */
  createSession(
    model: Uint8Array,
    inputs: readonly string[],
    outputs: readonly string[],
    external?: ReadonlyMap<string, Uint8Array>,
  ): WasmSession
  releaseSession(session: WasmSession): void
  /** Outputs in the session's order, to be released by the caller. */
  run(session: WasmSession, inputs: readonly WasmValue[]): WasmValue[]
  write(value: Value): WasmValue
  /** Its elements in the heap itself: valid, and the same, until the next call of any other function. */
  view(value: WasmValue): Uint8Array
  /** Whether a float32 value has a NaN. */
  hasNaN(value: WasmValue): boolean
  release(value: WasmValue): void
}

/**
 * Compiles the engine and starts it. Rejects with RuntimeError `load-failed` where the package's wasm is not the one that
 * this version was made for: another may give other results, and would make an honest node look like a liar.
 */
export async function createWasmEngine(): Promise<WasmEngine> {
  compiled ??= compile()
  const [glue, module] = await Promise.all([
    import(pathToFileURL(resolve('ort-wasm-simd-threaded.mjs')).href) as Promise<GlueModule>,
    compiled,
  ])
  let memory: WasmMemory | undefined
  const starvation = { isStarved: false }
  const ort = await glue.default({
    numThreads: 1,
    instantiateWasm(imports, done) {
      memory = boundHeap(imports, starvation)
      stopClock(imports, memory)
      done(new wasm.Instance(module, imports), module)
    },
  })
  if (memory === undefined || !(memory.buffer instanceof SharedArrayBuffer)) {
    throw new RuntimeError('load-failed', 'the WASM engine did not start')
  }
  return start(ort, memory, starvation)
}

/** Made once in a process; each engine is an instance with a heap of its own. */
let compiled: Promise<object> | undefined

async function compile(): Promise<object> {
  try {
    return await compilePinnedWasm()
  } catch (error) {
    compiled = undefined
    throw error
  }
}

/** Compiles the wasm file, if it is the pinned one. Rejects with RuntimeError `load-failed`. */
export async function compilePinnedWasm(path: string = resolve(WASM_FILE)): Promise<object> {
  const bytes = await readFile(path)
  // Another thread compiles what this one hashes. Nothing of it runs before both are done.
  const [module] = await Promise.all([wasm.compile(bytes), verifyPinned(bytes, path)])
  return module
}

async function verifyPinned(bytes: Uint8Array, path: string): Promise<void> {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (sha256 !== EXACT_WASM_SHA256) {
    throw new RuntimeError(
      'load-failed',
      `the exact lane runs one build of its engine only: "${path}" has the SHA-256 ${sha256} where ${EXACT_WASM_SHA256} ` +
        `is expected. Install onnxruntime-web ${EXACT_ENGINE_VERSION} as the lock file has it`,
    )
  }
}

const WASM_FILE = 'ort-wasm-simd-threaded.wasm'

function resolve(file: string): string {
  return createRequire(import.meta.url).resolve(`onnxruntime-web/${file}`)
}

/**
 * The heap of an engine about to start, with a bound on its growth. `starvation` is told when it was refused more: malloc gives
 * nothing then, and not every place in the engine looks.
 */
export function boundHeap(imports: WasmImports, starvation: { isStarved: boolean }): WasmMemory {
  const [names] = Object.values(imports)
  if (names === undefined) throw new Error('the engine asks for no imports')
  const found = Object.entries(names).filter(
    ([, value]) => typeof value === 'function' && String(value).includes('.grow('),
  )
  const memory = Object.values(names).find((value) => value instanceof wasm.Memory)
  if (found.length !== 1 || memory === undefined)
    throw new Error('the engine grows its heap in an unknown way')
  const [name, grow] = found[0] as [string, (bytes: number) => boolean]
  names[name] = (bytes: number): boolean => {
    if (bytes >>> 0 <= WASM_HEAP_BYTES_MAX && grow(bytes)) return true
    starvation.isStarved = true
    return false
  }
  return memory
}

/**
 * Gives the engine a clock that stands still. It asks four times an operator, for a profile that nobody wants, which
 * costs a microsecond: as much as small operators take; and nothing that the exact lane computes may depend on time.
 */
export function stopClock(imports: WasmImports, memory: WasmMemory): void {
  const [names] = Object.values(imports)
  const found = Object.entries(names ?? {}).filter(
    ([, value]) =>
      typeof value === 'function' && value.length === 3 && String(value).includes('performance.timeOrigin'),
  )
  const [clock] = found
  if (clock === undefined || found.length !== 1)
    throw new Error('the engine reads the time in an unknown way')
  // clock_time_get of WASI: the clock, a precision, where to write nanoseconds (u64).
  let view = new DataView(memory.buffer)
  names![clock[0]] = (_clock: number, _precision: unknown, pointer: number): number => {
    const at = pointer >>> 0
    if (view.byteLength < at + 8) view = new DataView(memory.buffer)
    view.setUint32(at, 0, true)
    view.setUint32(at + 4, 0, true)
    return 0
  }
}

function start(ort: Ort, memory: WasmMemory, starvation: { isStarved: boolean }): WasmEngine {
  const scanNaN = createNaNScan(memory)
  let words = new Uint32Array(memory.buffer)
  let isBroken = false
  const isSpent = () => isBroken || starvation.isStarved

  /** Runs `work`, and tells apart whether the engine refused, had no memory or broke. */
  function guarded<T>(what: string, work: () => T): T {
    if (isSpent()) throw new RuntimeError('crashed', 'the engine has broken before')
    let result: T
    try {
      result = work()
    } catch (error) {
      if (error instanceof RuntimeError && (error.code === 'out-of-memory' || !starvation.isStarved))
        throw error
      if (starvation.isStarved) throw outOfMemory(what, error)
      isBroken = true
      throw new RuntimeError('crashed', `the engine broke while ${what}: ${String(error)}`, { cause: error })
    }
    if (starvation.isStarved) throw outOfMemory(what)
    return result
  }

  /** What the engine says of its last failure. */
  function lastError(what: string): RuntimeError {
    const at = allocate(8)
    ort._OrtGetLastError(at, at + 4)
    const view = new DataView(memory.buffer)
    const code = view.getInt32(at, true)
    const message = ort.UTF8ToString(view.getUint32(at + 4, true))
    ort._free(at)
    if (isRefusal(code, message)) {
      return new RuntimeError('run-failed', `the engine refused while ${what}: ${message}`)
    }
    // In doubt it was that, and then nothing that follows can be believed.
    starvation.isStarved = true
    return outOfMemory(what, message)
  }

  function allocate(bytes: number): number {
    // Never of no size: that may be the null pointer, which would look like a failure.
    const at = ort._malloc(Math.max(bytes, 16))
    if (at !== 0) return at
    starvation.isStarved = true
    throw outOfMemory('allocating')
  }

  function text(string: string): number {
    const bytes = Buffer.from(`${string}\0`, 'utf8')
    const at = allocate(bytes.byteLength)
    new Uint8Array(memory.buffer, at, bytes.byteLength).set(bytes)
    return at
  }

  const { options, runOptions, scratch } = guarded('starting', () => {
    if (ort._OrtInit(1, SEVERITY_ERROR) !== 0) throw lastError('starting')
    // Level 0: no optimisation; no arena, which keeps what it once had; no memory pattern; sequential.
    const logId = text('exact')
    const options = ort._OrtCreateSessionOptions(0, false, false, 0, false, 0, logId, SEVERITY_FATAL, 0, 0)
    const runOptions = ort._OrtCreateRunOptions(SEVERITY_FATAL, 0, false, 0)
    if (options === 0 || runOptions === 0) throw lastError('starting')
    return { options, runOptions, scratch: allocate(SCRATCH_BYTES) }
  })

  function reserve(bytes: number): void {
    guarded('starting', () => {
      const at = allocate(bytes)
      new Uint8Array(memory.buffer, at, bytes).fill(0)
      ort._free(at)
    })
  }

  function createSession(
    model: Uint8Array,
    inputs: readonly string[],
    outputs: readonly string[],
    external: ReadonlyMap<string, Uint8Array> = new Map(),
  ): WasmSession {
    return guarded('loading an operator', () => {
      const at = allocate(model.byteLength)
      new Uint8Array(memory.buffer, at, model.byteLength).set(model)
      for (const [location, bytes] of external) ort.mountExternalData(location, bytes)
      const handle = ort._OrtCreateSession(at, model.byteLength, options)
      ort.unmountExternalData()
      ort._free(at)
      if (handle === 0) throw lastError('loading an operator')
      const names = [...inputs, ...outputs].map(text)
      const list = allocate(names.length * 4)
      new Uint32Array(memory.buffer, list, names.length).set(names)
      return {
        handle,
        inputNames: list,
        inputs: inputs.length,
        outputNames: list + 4 * inputs.length,
        outputs: outputs.length,
        allocations: [list, ...names],
      }
    })
  }

  function releaseSession(session: WasmSession): void {
    guarded('releasing an operator', () => {
      ort._OrtReleaseSession(session.handle)
      for (const at of session.allocations) ort._free(at)
    })
  }

  /**
   * The heap in words of 32 bits, at least up to `end`. What grows is shared memory, which stays where it is: a view that
   * was made before is as good, only shorter.
   */
  function wordsUntil(end: number): Uint32Array {
    if (words.byteLength < end) words = new Uint32Array(memory.buffer)
    return words
  }

  function run(session: WasmSession, inputs: readonly WasmValue[]): WasmValue[] {
    return guarded('running an operator', () => {
      const count = inputs.length + session.outputs
      if (count * 4 > SCRATCH_BYTES || inputs.length !== session.inputs) {
        throw new RangeError(`${count} operands and outputs`)
      }
      const outputsAt = scratch + 4 * inputs.length
      const slots = wordsUntil(scratch + SCRATCH_BYTES)
      let slot = scratch >>> 2
      for (const { handle } of inputs) slots[slot++] = handle
      slots.fill(0, slot, slot + session.outputs)
      const code = ort._OrtRun(
        session.handle,
        session.inputNames,
        scratch,
        inputs.length,
        session.outputNames,
        session.outputs,
        outputsAt,
        runOptions,
      )
      if (code !== 0) throw lastError('running an operator')
      // Before the first is described, which uses the same place.
      const handles = slots.slice(slot, slot + session.outputs)
      const outputs: WasmValue[] = []
      for (const handle of handles) outputs.push(describe(handle))
      return outputs
    })
  }

  /** What an output is. */
  function describe(handle: number): WasmValue {
    if (ort._OrtGetTensorData(handle, scratch, scratch + 4, scratch + 8, scratch + 12) !== 0) {
      throw lastError('reading an output')
    }
    const found = scratch >>> 2
    const [type, at, dimsAt, rank] = [words[found]!, words[found + 1]!, words[found + 2]!, words[found + 3]!]
    const heap = wordsUntil(dimsAt + 4 * rank)
    const element = ELEMENT_OF[type]
    const dims: number[] = []
    let bytes = element?.bytes ?? 0
    for (let axis = 0; axis < rank; axis++) {
      const dim = heap[(dimsAt >>> 2) + axis]!
      dims.push(dim)
      bytes *= dim
    }
    ort._OrtFree(dimsAt)
    if (element === undefined) throw new RuntimeError('run-failed', `an output has elements of type ${type}`)
    return { dtype: element.dtype, dims, bytes, at, handle, isOwn: false }
  }

  function write({ dtype, dims, data }: Value): WasmValue {
    return guarded('taking a value', () => {
      const at = allocate(data.byteLength)
      new Uint8Array(memory.buffer, at, data.byteLength).set(data)
      new Uint32Array(memory.buffer, scratch, dims.length).set(dims)
      const type = ELEMENT_OF.findIndex((element) => element?.dtype === dtype)
      const handle = ort._OrtCreateTensor(type, at, data.byteLength, scratch, dims.length, LOCATION_CPU)
      if (handle === 0) throw lastError('taking a value')
      return { dtype, dims, bytes: data.byteLength, at, handle, isOwn: true }
    })
  }

  function hasNaN({ at, bytes }: WasmValue): boolean {
    const scanned = bytes - (bytes % 16)
    if (scanned > 0 && scanNaN(at, scanned)) return true
    const heap = wordsUntil(at + bytes)
    for (let word = (at + scanned) >>> 2; word < (at + bytes) >>> 2; word++) {
      // Above infinity, the sign apart.
      if ((heap[word]! & 0x7fff_ffff) > 0x7f80_0000) return true
    }
    return false
  }

  function release(value: WasmValue): void {
    guarded('releasing a value', () => {
      ort._OrtReleaseTensor(value.handle)
      if (value.isOwn) ort._free(value.at)
    })
  }

  return {
    isSpent,
    heapBytes: () => memory.buffer.byteLength,
    reserve,
    createSession,
    releaseSession,
    run,
    write,
    view: ({ at, bytes }) => new Uint8Array(memory.buffer, at, bytes),
    hasNaN,
    release,
  }
}

/** OrtLoggingLevel. */
const SEVERITY_ERROR = 3
const SEVERITY_FATAL = 4
const LOCATION_CPU = 1
/** Pointers of one run's operands and outputs, or the dimensions of a value. */
const SCRATCH_BYTES = 64 * 1024

/** By their number in ONNX' TensorProto.DataType. */
const ELEMENT_OF: readonly ({ readonly dtype: DType; readonly bytes: number } | undefined)[] = (() => {
  const list = [
    undefined,
    'float32',
    'uint8',
    'int8',
    'uint16',
    'int16',
    'int32',
    'int64',
    undefined,
    'bool',
    'float16',
    'float64',
    'uint32',
    'uint64',
  ] as const
  return list.map((dtype) => (dtype === undefined ? undefined : { dtype, bytes: ELEMENT_BYTES[dtype] }))
})()

function outOfMemory(what: string, cause?: unknown): RuntimeError {
  const why = cause === undefined ? '' : ` (${cause instanceof Error ? cause.message : String(cause)})`
  return new RuntimeError('out-of-memory', `the engine ran out of memory while ${what}${why}`, { cause })
}

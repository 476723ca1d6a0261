/** The engine underneath: WebAssembly itself, the file that loads the wasm, and the C interface that it exports. */

/** What is needed of a global that the types of Node do not name. */
export interface WasmApi {
  compile(bytes: Uint8Array): Promise<object>
  readonly Instance: new (module: object, imports: WasmImports) => object
  readonly Memory: new () => WasmMemory
}
/** Its buffer is another one after it has grown. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike
}
export type WasmImports = Record<string, Record<string, unknown>>

export const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: WasmApi }

/** What emscripten wrote around the wasm. */
export interface GlueModule {
  readonly default: (config: {
    readonly numThreads: number
    instantiateWasm(imports: WasmImports, done: (instance: object, module: object) => void): void
  }) => Promise<Ort>
}

/** The C interface (onnxruntime/wasm/api.h); addresses are numbers, 0 is none. */
export interface Ort {
  _malloc(bytes: number): number
  _free(at: number): void
  UTF8ToString(at: number): string
  /** Files that a model names as external data, by location, until the next call of the other. */
  mountExternalData(location: string, bytes: Uint8Array): void
  unmountExternalData(): void
  _OrtInit(threads: number, severity: number): number
  _OrtGetLastError(codeAt: number, messageAt: number): number
  _OrtCreateSessionOptions(
    optimization: number,
    arena: boolean,
    pattern: boolean,
    mode: number,
    profiling: boolean,
    profile: number,
    logId: number,
    severity: number,
    verbosity: number,
    optimizedModel: number,
  ): number
  _OrtCreateRunOptions(severity: number, verbosity: number, terminate: boolean, tag: number): number
  _OrtCreateSession(at: number, bytes: number, options: number): number
  _OrtReleaseSession(session: number): number
  _OrtCreateTensor(
    type: number,
    at: number,
    bytes: number,
    dimsAt: number,
    rank: number,
    location: number,
  ): number
  _OrtGetTensorData(tensor: number, typeAt: number, dataAt: number, dimsAt: number, rankAt: number): number
  _OrtReleaseTensor(tensor: number): number
  _OrtFree(at: number): number
  _OrtRun(
    session: number,
    inputNamesAt: number,
    inputsAt: number,
    inputs: number,
    outputNamesAt: number,
    outputs: number,
    outputsAt: number,
    options: number,
  ): number
}

/**
 * Looks for NaNs in the engine's heap, sixteen bytes at a time: a loop in JavaScript takes a nanosecond an element, which
 * for text detection is as much time as half of its operators.
 */

/** Whether there is a NaN among the 32-bit floats in `bytes` bytes at `at`, both multiples of 16. */
export type NaNScan = (at: number, bytes: number) => boolean

interface WasmApi {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: Record<string, Record<string, unknown>>,
  ) => { readonly exports: { readonly scan: (at: number, end: number) => number } }
}

/** Over the heap of `memory`, a shared WebAssembly.Memory. */
export function createNaNScan(memory: object): NaNScan {
  const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: WasmApi }
  const { scan } = new wasm.Instance(new wasm.Module(MODULE), { e: { m: memory } }).exports
  return (at, bytes) => scan(at, at + bytes) !== 0
}

/**
 * In the text format:
 *
 *     (module
 *       (import "e" "m" (memory 0 65536 shared))
 *       (func (export "scan") (param $at i32) (param $end i32) (result i32)
 *         (local $found v128) (local $four v128)
 *         (block (loop
 *           (br_if 1 (i32.ge_u (local.get $at) (local.get $end)))
 *           (local.set $found (v128.or (local.get $found)
 *             (f32x4.ne (local.tee $four (v128.load (local.get $at))) (local.get $four))))
 *           (local.set $at (i32.add (local.get $at) (i32.const 16)))
 *           (br 0)))
 *         (v128.any_true (local.get $found))))
 */
const MODULE = Uint8Array.of(
  // Magic and version.
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  // Types: (i32, i32) -> i32.
  ...[0x01, 0x07, 0x01, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f],
  // Imports: "e" "m", a shared memory of 0 to 65536 pages.
  ...[0x02, 0x0b, 0x01, 0x01, 0x65, 0x01, 0x6d, 0x02, 0x03, 0x00, 0x80, 0x80, 0x04],
  // Functions: one of type 0.
  ...[0x03, 0x02, 0x01, 0x00],
  // Exports: "scan", function 0.
  ...[0x07, 0x08, 0x01, 0x04, 0x73, 0x63, 0x61, 0x6e, 0x00, 0x00],
  // Code: one body of 48 bytes; two locals of v128.
  ...[0x0a, 0x32, 0x01, 0x30, 0x01, 0x02, 0x7b],
  // block, loop; at >= end: br_if 1.
  ...[0x02, 0x40, 0x03, 0x40, 0x20, 0x00, 0x20, 0x01, 0x4f, 0x0d, 0x01],
  // found | (four = load(at, align 4, offset 0)) != four.
  ...[0x20, 0x02, 0x20, 0x00, 0xfd, 0x00, 0x04, 0x00, 0x22, 0x03, 0x20, 0x03],
  // f32x4.ne, v128.or; found = it.
  ...[0xfd, 0x42, 0xfd, 0x50, 0x21, 0x02],
  // at = at + 16; br 0; both ends.
  ...[0x20, 0x00, 0x41, 0x10, 0x6a, 0x21, 0x00, 0x0c, 0x00, 0x0b, 0x0b],
  // any_true of found.
  ...[0x20, 0x02, 0xfd, 0x53, 0x0b],
)

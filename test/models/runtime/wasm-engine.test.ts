import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { exactRuntimeInfo, RuntimeError } from '../../../models/runtime/index.ts'
import { isRefusal } from '../../../models/runtime/refusal.ts'
import {
  boundHeap,
  compilePinnedWasm,
  createWasmEngine,
  stopClock,
  type WasmEngine,
} from '../../../models/runtime/wasm-engine.ts'
import type { Value } from '../../../models/trace/index.ts'
import { buildModel, elementBytes, type OnnxDType, type OnnxNode } from '../../fixtures/onnx-builder.ts'

const floats = (dims: number[], elements: number[]): Value => value('float32', dims, elements)
const longs = (elements: number[], dims = [elements.length]): Value => value('int64', dims, elements)
const value = (dtype: OnnxDType, dims: number[], elements: number[]): Value => ({
  dtype,
  dims,
  data: elementBytes(dtype, elements),
})

type Case = [what: string, node: Omit<OnnxNode, 'inputs' | 'outputs'>, operands: Value[], output?: OnnxDType]

/** Runs one operator of one output; gives its bytes. */
function run(engine: WasmEngine, [, node, operands, output = 'float32']: Case): Uint8Array {
  const names = operands.map((_, index) => `i${index}`)
  const model = buildModel({
    inputs: operands.map(({ dtype }, index) => ({ name: names[index]!, dtype })),
    outputs: [{ name: 'o', dtype: output }],
    nodes: [{ ...node, inputs: names, outputs: ['o'] }],
  })
  const session = engine.createSession(model, names, ['o'])
  const [given] = engine.run(session, operands.map(engine.write))
  return new Uint8Array(engine.view(given!))
}

function codeOf(work: () => unknown): string {
  try {
    work()
    return 'none'
  } catch (error) {
    assert.instance(error, RuntimeError)
    return (error as RuntimeError).code
  }
}

test('the lane’s id names the wasm and the rules of the trace', () => {
  assert.equal(exactRuntimeInfo(), {
    engine: 'onnxruntime-web',
    version: '1.30.0+wasm.3398c10d07d229bd+trace.1',
    lane: 'exact',
    instructionSet: 'wasm32-simd',
  })
})

test('refuses a wasm that is not the pinned one, and says which it is', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'verimesh-wasm-'))
  try {
    const bytes = await readFile(
      createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'),
    )
    const path = join(directory, 'other.wasm')
    await writeFile(path, bytes)
    await compilePinnedWasm(path)
    for (const [what, other] of [
      ['still a module', () => (bytes[bytes.length - 1]! ^= 1)],
      ['no module', () => bytes.fill(0, 0, 100)],
    ] as const) {
      other()
      await writeFile(path, bytes)
      const error = await compilePinnedWasm(path).then(
        () => undefined,
        (error: unknown) => error,
      )
      assert.ok(error instanceof RuntimeError && error.code === 'load-failed', what)
      assert.match(error.message, /SHA-256 [0-9a-f]{64} where 3398c10d.* is expected/, what)
    }
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('an operator that cannot take its operands refuses, and the engine goes on', async () => {
  const engine = await createWasmEngine()
  const cases: Case[] = [
    ['an index outside', { operator: 'Gather' }, [floats([3], [1, 2, 3]), longs([7])]],
    ['a shape of another size', { operator: 'Reshape' }, [floats([3], [1, 2, 3]), longs([2, 2])]],
    ['shapes that do not multiply', { operator: 'MatMul' }, [floats([1, 2], [1, 2]), floats([1, 2], [1, 2])]],
    ['shapes that do not broadcast', { operator: 'Add' }, [floats([3], [1, 2, 3]), floats([2], [1, 2])]],
    ['types that do not match', { operator: 'Add' }, [floats([1], [1]), longs([1])]],
    ['a type without a kernel', { operator: 'Sin' }, [longs([1])]],
    ['an axis outside', { operator: 'Unsqueeze' }, [floats([1], [1]), longs([9])]],
    ['a negative depth', { operator: 'OneHot' }, [longs([1]), longs([-3], []), floats([2], [0, 1])]],
  ]
  for (const one of cases)
    assert.is(
      codeOf(() => run(engine, one)),
      'run-failed',
      one[0],
    )
  assert.not.ok(engine.isSpent())
  const ok = run(engine, ['', { operator: 'Neg' }, [floats([2], [1, -2])]])
  assert.equal([...new Float32Array(ok.buffer)], [-1, 2])
})

test('an operator that explodes is no refusal, and the engine is not believed again', async () => {
  const cases: Case[] = [
    ['beyond the heap', { operator: 'ConstantOfShape' }, [longs([600, 1000, 1000])]],
    ['beyond all addresses', { operator: 'ConstantOfShape' }, [longs([1300, 1000, 1000])]],
    ['beyond all numbers', { operator: 'ConstantOfShape' }, [longs([2 ** 31, 2 ** 31, 2 ** 31])]],
    ['by repetition', { operator: 'Tile' }, [floats([1000], new Array(1000).fill(1)), longs([900_000])]],
    ['by expansion', { operator: 'Expand' }, [floats([1], [1]), longs([700, 1000, 1000])]],
    ['by padding', { operator: 'Pad' }, [floats([1], [1]), longs([0, 700_000_000])]],
    [
      'by an outer product',
      { operator: 'OneHot' },
      [longs([1, 2]), longs([10 ** 9], []), floats([2], [0, 1])],
    ],
  ]
  for (const one of cases) {
    const engine = await createWasmEngine()
    assert.is(
      codeOf(() => run(engine, one)),
      'out-of-memory',
      one[0],
    )
    assert.ok(engine.isSpent(), one[0])
    assert.is(
      codeOf(() => engine.write(longs([1]))),
      'crashed',
      'nothing more is asked of it',
    )
    assert.ok(engine.heapBytes() < 2 ** 30, one[0])
  }
})

test('many small pieces fill the heap up to its bound, and the last is no refusal', async () => {
  const engine = await createWasmEngine()
  const piece: Value = { dtype: 'uint8', dims: [2 ** 28], data: new Uint8Array(2 ** 28) }
  const codes: string[] = []
  while (codes.at(-1) !== 'out-of-memory') codes.push(codeOf(() => engine.write(piece)))
  assert.equal(codes, [...new Array(7).fill('none'), 'out-of-memory'])
  assert.ok(engine.heapBytes() <= 2 ** 31)
})

test('a heap that was refused more is known to be, whoever looks', () => {
  const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: new (options: object) => object } })
    .WebAssembly
  const memory = new Memory({ initial: 1, maximum: 2, shared: true })
  let grows = true
  const give = { grow: () => grows }
  const grower = (bytes: number): boolean => bytes > 0 && give.grow()
  const wake = (bytes: number) => {
    const starvation = { isStarved: false }
    const imports = { a: { m: memory, f: grower as unknown, other: () => true } }
    assert.is(boundHeap(imports, starvation), memory)
    const given = (imports.a.f as typeof grower)(bytes)
    return [given, starvation.isStarved]
  }
  assert.equal(wake(2 ** 31), [true, false])
  assert.equal(wake(2 ** 31 + 1), [false, true], 'beyond the bound')
  // As the engine passes it: 32 bits with a sign.
  assert.equal(wake(-1), [false, true], 'beyond the bound')
  grows = false
  assert.equal(wake(1), [false, true], 'the system has no more')
  assert.throws(() => boundHeap({ a: { m: memory } }, { isStarved: false }))
  assert.throws(() => boundHeap({ a: { m: memory, f: grower, g: grower } }, { isStarved: false }))
})

test('what lies where the heap has grown to is read as it is', async () => {
  const engine = await createWasmEngine()
  const before = engine.heapBytes()
  const zeros = (elements: number): Value => ({
    dtype: 'float32',
    dims: [elements],
    data: new Uint8Array(4 * elements),
  })
  const elements = before / 4
  const last = zeros(elements)
  new DataView(last.data.buffer).setUint32(4 * (elements - 1), 0xffc0_0000, true)
  const odd = zeros(elements + 3)
  new DataView(odd.data.buffer).setUint32(4 * (elements + 2), 0xff80_0001, true)
  for (const [given, hasNaN] of [
    [zeros(elements), false],
    [last, true],
    [odd, true],
    [zeros(elements + 3), false],
  ] as const) {
    const written = engine.write(given)
    assert.ok(written.at + written.bytes > before, 'it lies beyond what was there')
    assert.is(engine.hasNaN(written), hasNaN)
  }
  const grown = run(engine, ['', { operator: 'ConstantOfShape' }, [longs([3, 2 ** 25])]])
  assert.is(grown.byteLength, 3 * 2 ** 27)
})

test('the engine is told that no time passes, wherever it wants it written', () => {
  const { Memory } = (
    globalThis as unknown as {
      WebAssembly: { Memory: new (options: object) => { buffer: ArrayBufferLike; grow(pages: number): void } }
    }
  ).WebAssembly
  const memory = new Memory({ initial: 1, maximum: 3, shared: true })
  const origin = () => performance.timeOrigin
  const clock = (_clock: number, _precision: number, at: number): number => at + performance.timeOrigin
  const imports = { a: { m: memory, f: clock as typeof clock, other: (at: number) => at, origin } }
  stopClock(imports, memory)
  assert.is(imports.a.origin, origin)
  new Uint8Array(memory.buffer).fill(255)
  memory.grow(1)
  new Uint8Array(memory.buffer).fill(255)
  for (const at of [8, 65_536 + 16]) {
    assert.is(imports.a.f(1, 0, at), 0)
    const bytes = new Uint8Array(memory.buffer).subarray(at - 1, at + 9)
    assert.equal([...bytes], [255, 0, 0, 0, 0, 0, 0, 0, 0, 255])
  }
  assert.throws(() => stopClock({ a: { m: memory, origin } }, memory))
  assert.throws(() => stopClock({ a: { m: memory, f: clock, g: clock } }, memory))
})

test('a trap of the machine is no refusal', async () => {
  const engine = await createWasmEngine()
  const lowest: Value = { dtype: 'int64', dims: [1], data: elementBytes('int64', [-(2n ** 63n)]) }
  const beyond: Case = ['', { operator: 'Div' }, [lowest, longs([-1])], 'int64']
  assert.is(
    codeOf(() => run(engine, beyond)),
    'crashed',
  )
  assert.ok(engine.isSpent())
})

test('what might be a lack of memory is none of the operands’ fault', () => {
  const refusals: [number, string][] = [
    [2, 'indices element out of data bounds'],
    [1, 'Type Error: Type parameter (T) of Optype (Add) bound to different types'],
    [6, 'reshape_helper.h:93 input_shape_size == requested_shape_size was false.'],
    [9, 'Could not find an implementation for Sin(7)'],
  ]
  const doubts: [number, string][] = [
    [6, 'std::bad_alloc'],
    [1, 'Failed to allocate memory for requested buffer of size 4000000000'],
    [6, 'Status Message: bad allocation'],
    [2, 'out of memory'],
    [6, 'buffer != nullptr was false.'],
    [6, 'Integer overflow'],
    // What a container of C++ says when it would be too long.
    [6, 'Non-zero status code returned while running Tile node. Status Message: vector'],
    [6, 'something that nobody has read yet'],
    [3, 'no such file'],
    [0, ''],
  ]
  for (const [code, message] of refusals) assert.ok(isRefusal(code, message), message)
  for (const [code, message] of doubts) assert.not.ok(isRefusal(code, message), message)
})

test.run()

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Signature } from '../../../models/manifest/index.ts'
import {
  createNativeRuntime,
  type NativeRuntime,
  type NativeRuntimeComponents,
  type NativeRuntimeInit,
  RuntimeError,
} from '../../../models/runtime/index.ts'
import { decodeTensors, float32Tensor, type Tensor } from '../../../models/tensor/index.ts'
import {
  buildAddOneModel,
  buildAffineModel,
  buildLookupModel,
  buildLoopModel,
  buildRowSumModel,
  buildSpreadModel,
} from '../../fixtures/onnx-builder.ts'
import { codeOf, executionOf, resultOf, rowsOf, signatureOf } from './executions.ts'

interface Context {
  directory: string
  runtimes: NativeRuntime[]
}

const test = suite<Context>('native runtime')
const forever = new AbortController().signal
const onLinux = process.platform === 'linux'

test.before(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), 'verimesh-runtime-'))
  context.runtimes = []
})
test.after.each(async ({ runtimes }) => {
  await Promise.all(runtimes.splice(0).map((runtime) => runtime.close()))
})
test.after(({ directory }) => rm(directory, { recursive: true }))

let models = 0
async function open(
  context: Context,
  model: Uint8Array,
  init: Partial<NativeRuntimeInit> = {},
  components: Partial<NativeRuntimeComponents> = {},
): Promise<NativeRuntime> {
  const modelPath = join(context.directory, `model-${++models}.onnx`)
  await writeFile(modelPath, model)
  const defaults = { modelPath, signature: signatureOf('n'), batching: true }
  const runtime = createNativeRuntime({ ...defaults, ...init }, components)
  context.runtimes.push(runtime)
  return runtime
}

async function failure(promise: Promise<unknown>): Promise<RuntimeError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.instance(error, RuntimeError)
  return error as RuntimeError
}

test('runs a model and says what ran it', async (context) => {
  const runtime = await open(context, buildAddOneModel())
  const outcomes = await runtime.execute([executionOf(rowsOf([1, 2, 3]))], forever)
  assert.equal(outcomes.map(resultOf), [[2, 3, 4]])
  assert.is(runtime.info.engine, 'onnxruntime-node')
  assert.is(runtime.info.lane, 'native')
  assert.match(runtime.info.version, /^\d+\.\d+\.\d+/)
})

test('a row gives the same alone and in a batch, within tolerance', async (context) => {
  const signature = signatureOf(64, 32)
  const model = buildAffineModel({ columns: 64, outputs: 32, hidden: [128] })
  const runtime = await open(context, model, { signature })
  const rows = Array.from({ length: 5 }, (_, row) =>
    Array.from({ length: 64 }, (_, at) => Math.sin(row * 64 + at)),
  )
  const batch = rows.map((row) => executionOf(rowsOf(row)))
  const together = await runtime.execute(batch, forever)
  assert.ok(together.every((outcome) => outcome.ok && outcome.value.batched))
  for (const [index, execution] of batch.entries()) {
    const [alone] = await runtime.execute([execution], forever)
    assert.ok(alone?.ok && !alone.value.batched)
    const expected = resultOf(alone)
    const given = resultOf(together[index])
    const spread = Math.max(...expected.map((value, at) => Math.abs(value - given[at]!)))
    const scale = Math.max(...expected.map(Math.abs))
    assert.ok(spread <= 1e-5 * scale, `row ${index} is off by ${spread}`)
  }
})

test('a model that sums over its rows is run entry by entry, and the log says so', async (context) => {
  const signature: Signature = {
    inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', 'n'] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['n'] }],
  }
  const logs: string[] = []
  const onLog = (_level: string, message: string) => logs.push(message)
  const runtime = await open(context, buildRowSumModel(), { signature, onLog })
  const batch = [executionOf(rowsOf([1, 2])), executionOf(rowsOf([4, 5], [1, 1]))]
  assert.equal((await runtime.execute(batch, forever)).map(resultOf), [
    [1, 2],
    [5, 6],
  ])
  assert.match(logs.join('\n'), /one by one/)
})

test('carries payloads of every size, by the slab and by the socket', async (context) => {
  const runtime = await open(context, buildAddOneModel())
  // Inline; above the trailer's and slab's lower bounds; larger than the slab; a batch that fills the slab.
  for (const lengths of [[1], [5_000], [30_000], [1_500_000], [600_000, 600_000, 600_000]]) {
    const batch = lengths.map((length, index) => {
      const elements = Float32Array.from({ length }, (_, at) => (at % 1000) + index)
      return executionOf(float32Tensor('x', [1, length], elements))
    })
    const outcomes = await runtime.execute(batch, forever)
    for (const [index, length] of lengths.entries()) {
      const y = resultOf(outcomes[index])
      assert.is(y.length, length)
      assert.ok(
        y.every((value, at) => value === (at % 1000) + index + 1),
        `${length} elements, entry ${index}`,
      )
    }
  }
})

test('executions handed over ahead do not touch each other’s payloads in the slab', async (context) => {
  const runtime = await open(context, buildAddOneModel())
  await runtime.load()
  const values = Array.from({ length: 24 }, (_, index) => index * 10)
  const running = values.map((value) => {
    const x = float32Tensor('x', [1, 200_000], new Float32Array(200_000).fill(value))
    return runtime.execute([executionOf(x)], forever)
  })
  for (const [index, promise] of running.entries()) {
    const [outcome] = await promise
    const y = resultOf(outcome)
    assert.ok(
      y.every((element) => element === values[index]! + 1),
      `execution ${index}`,
    )
  }
})

test('carries int64, float16 and float64 elements as they are', async (context) => {
  const cases = [
    ['int64', new BigInt64Array([1n, -5n, 2n ** 60n]), new BigInt64Array([2n, -4n, 2n ** 60n + 1n])],
    ['float64', new Float64Array([0.5, -3, 1e10]), new Float64Array([1.5, -2, 1e10 + 1])],
    // 1, 2 and -1 as halves; 2, 3 and 0.
    ['float16', new Uint16Array([0x3c00, 0x4000, 0xbc00]), new Uint16Array([0x4000, 0x4200, 0])],
  ] as const
  for (const [dtype, given, expected] of cases) {
    const signature: Signature = {
      inputs: [{ name: 'x', dtype, dims: ['batch', 'n'] }],
      outputs: [{ name: 'y', dtype, dims: ['batch', 'n'] }],
    }
    const runtime = await open(context, buildAddOneModel(dtype), { signature })
    const x: Tensor = { name: 'x', dtype, dims: [1, 3], data: new Uint8Array(given.buffer) }
    const [outcome] = await runtime.execute([executionOf(x)], forever)
    assert.ok(outcome?.ok, dtype)
    const [y] = decodeTensors(outcome.value.outputs)
    assert.is(y!.dtype, dtype)
    assert.equal(Buffer.from(y!.data).toString('hex'), Buffer.from(expected.buffer).toString('hex'), dtype)
  }
})

test('wrong name, element type or shape: the entry fails, with what was expected and given', async (context) => {
  const runtime = await open(context, buildAffineModel({ columns: 4 }), { signature: signatureOf(4) })
  const x = rowsOf([1, 2, 3, 4])
  const cases: [Tensor, RegExp][] = [
    [{ ...x, name: 'z' }, /"x" is missing: expected float32\[batch, 4\]; given "z"/],
    [{ ...x, dtype: 'int32' }, /expected float32\[batch, 4\], given int32\[1, 4\]/],
    [rowsOf([1, 2, 3]), /expected float32\[batch, 4\], given float32\[1, 3\]/],
    [{ ...x, dims: [4] }, /expected float32\[batch, 4\], given float32\[4\]/],
  ]
  const batch = [...cases.map(([tensor]) => executionOf(tensor)), executionOf(x)]
  const outcomes = await runtime.execute(batch, forever)
  for (const [index, [, message]] of cases.entries()) {
    const outcome = outcomes[index]!
    assert.ok(!outcome.ok, `case ${index}`)
    assert.is(outcome.error.code, 'input-mismatch')
    assert.match(outcome.error.message, message)
  }
  assert.is(codeOf(outcomes.at(-1)), 'ok')
})

test('what the engine refuses to run fails alone and leaves the process alive', async (context) => {
  const signature: Signature = {
    inputs: [{ name: 'x', dtype: 'int64', dims: ['batch', 'n'] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['batch', 'n'] }],
  }
  const runtime = await open(context, buildLookupModel(10), { signature })
  const at = (index: bigint): Tensor => {
    const data = new Uint8Array(new BigInt64Array([index]).buffer)
    return { name: 'x', dtype: 'int64', dims: [1, 1], data }
  }
  const batch = [executionOf(at(3n)), executionOf(at(10n))]
  assert.equal((await runtime.execute(batch, forever)).map(codeOf), ['ok', 'run-failed'])
  const { pid } = runtime.status()
  assert.equal((await runtime.execute([batch[0]!], forever)).map(codeOf), ['ok'])
  assert.is(runtime.status().pid, pid)
})

const loopSignature: Signature = {
  inputs: [
    { name: 'x', dtype: 'float32', dims: ['batch', 'n'] },
    { name: 'iterations', dtype: 'int64', dims: [] },
  ],
  outputs: [{ name: 'y', dtype: 'float32', dims: ['batch', 'n'] }],
}
function loopOf(iterations: bigint) {
  const data = new Uint8Array(new BigInt64Array([iterations]).buffer)
  return executionOf(rowsOf([0]), { name: 'iterations', dtype: 'int64', dims: [], data })
}
const ENDLESS = 2n ** 60n

test('a deadline ends an execution that would not end; the next one runs', async (context) => {
  const init = { signature: loopSignature, batching: false, abortGraceMs: 0 }
  const runtime = await open(context, buildLoopModel(), init)
  await runtime.load()
  const { pid } = runtime.status()
  const late = failure(runtime.execute([loopOf(ENDLESS)], AbortSignal.timeout(50)))
  const waiting = runtime.execute([loopOf(2n)], forever)
  assert.is((await late).code, 'deadline')
  assert.equal((await waiting).map(resultOf), [[1.5]])
  assert.is.not(runtime.status().pid, pid)
  await hasEnded(pid!)
})

test('a killed process fails what it runs, and the next execution succeeds after the back-off', async (context) => {
  let time = 0
  const init = { signature: loopSignature, batching: false }
  const runtime = await open(context, buildLoopModel(), init, { now: () => time })
  await runtime.load()
  const crashed = failure(runtime.execute([loopOf(ENDLESS)], forever))
  process.kill(runtime.status().pid!, 'SIGKILL')
  assert.is((await crashed).code, 'crashed')
  const refused = await failure(runtime.execute([loopOf(1n)], forever))
  assert.is(refused.code, 'backing-off')
  assert.is(refused.retryAfterMs, 250)
  time += refused.retryAfterMs
  assert.equal((await runtime.execute([loopOf(1n)], forever)).map(resultOf), [[1]])
})

test('a corrupt, truncated or missing model does not load, and the message says what to do', async (context) => {
  const model = buildAffineModel({ columns: 4 })
  for (const bytes of [new Uint8Array(100).fill(0xff), model.subarray(0, model.byteLength - 40)]) {
    const runtime = await open(context, bytes, { signature: signatureOf(4) })
    const error = await failure(runtime.load())
    assert.is(error.code, 'load-failed')
    assert.match(error.message, /does not load: .+\. Check that the file is complete/)
    assert.is(
      (await failure(runtime.execute([executionOf(rowsOf([1, 2, 3, 4]))], forever))).code,
      'load-failed',
    )
  }
  const missing = createNativeRuntime({
    modelPath: join(context.directory, 'nothing.onnx'),
    signature: signatureOf(4),
    batching: false,
  })
  context.runtimes.push(missing)
  assert.is((await failure(missing.load())).code, 'load-failed')
})

test('a manifest that does not describe the model is told which value differs', async (context) => {
  const model = buildAffineModel({ columns: 4 })
  const x = signatureOf(4)
  const cases: [Signature, RegExp][] = [
    [
      { ...x, inputs: [{ ...x.inputs[0]!, name: 'image' }] },
      /names the input "image", but the model has "x"/,
    ],
    [
      { ...x, outputs: [{ ...x.outputs[0]!, dtype: 'int64' }] },
      /output "y" is int64; the model says float32/,
    ],
  ]
  for (const [signature, message] of cases) {
    const runtime = await open(context, model, { signature })
    assert.match((await failure(runtime.load())).message, message)
  }
})

test('the process sees no secret of the environment', async (context) => {
  if (!onLinux) return
  process.env.VERIMESH_TEST_SECRET = 'a-key-that-must-not-leak'
  try {
    const runtime = await open(context, buildAddOneModel())
    await runtime.load()
    const environment = await readFile(`/proc/${runtime.status().pid}/environ`, 'latin1')
    assert.not.match(environment, /SECRET|a-key-that-must-not-leak/)
    assert.not.match(environment, /npm_|HOME=/)
    assert.match(environment, /ORT_DISABLE_TELEMETRY=1/, 'the engine tells its maker nothing')
  } finally {
    delete process.env.VERIMESH_TEST_SECRET
  }
})

test('Ctrl-C and a stop signal to the whole group leave the process to its parent', async (context) => {
  const runtime = await open(context, buildAddOneModel())
  await runtime.load()
  const { pid } = runtime.status()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid!, signal)
  assert.equal((await runtime.execute([executionOf(rowsOf([1]))], forever)).map(resultOf), [[2]])
  assert.is(runtime.status().pid, pid)
})

test('close leaves no process', async (context) => {
  const runtime = await open(context, buildSpreadModel(1000), { signature: signatureOf(1, 1000) })
  await runtime.load()
  const { pid } = runtime.status()
  await runtime.close()
  assert.is(isAlive(pid!), false)
})

test('a parent that is killed leaves no orphan, neither an idle nor an endlessly busy one', async (context) => {
  const modelPath = join(context.directory, 'loop.onnx')
  await writeFile(modelPath, buildLoopModel())
  const index = new URL('../../../models/runtime/index.ts', import.meta.url).href
  const payload = Buffer.from(loopOf(ENDLESS).inputs).toString('base64')
  const digest = Buffer.from(loopOf(ENDLESS).inputDigest).toString('base64')
  for (const busy of [false, true]) {
    const script = `
      const { createNativeRuntime } = await import(${JSON.stringify(index)})
      const runtime = createNativeRuntime(${JSON.stringify({ modelPath, signature: loopSignature, batching: false })})
      await runtime.load()
      if (${busy}) runtime.execute([{
        inputs: new Uint8Array(Buffer.from('${payload}', 'base64')),
        inputDigest: new Uint8Array(Buffer.from('${digest}', 'base64')),
        salt: new Uint8Array(32).fill(7),
      }], new AbortController().signal)
      console.log(runtime.status().pid)`
    const parent = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const pid = await new Promise<number>((resolve) => {
      parent.stdout.once('data', (line: Buffer) => resolve(Number(line.toString())))
    })
    assert.ok(isAlive(pid))
    parent.kill('SIGKILL')
    await hasEnded(pid)
  }
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    // There is no such process.
    return false
  }
}

/** Ends when the process is gone; a test runner's own limit ends a test in which it never goes. */
async function hasEnded(pid: number): Promise<void> {
  for (let turn = 0; turn < 500; turn++) {
    if (!isAlive(pid)) return
    const state = onLinux ? await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '') : ''
    // A process without a parent to wait for it may stay as a zombie: it has ended all the same.
    if (/\) Z /.test(state)) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`process ${pid} is still there`)
}

test.run()

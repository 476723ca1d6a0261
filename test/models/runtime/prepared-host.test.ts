import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createExactRuntime,
  createInProcessExactRuntime,
  type PreparedHost,
  prepareExactHost,
  RuntimeError,
} from '../../../models/runtime/index.ts'
import { encodeTensors, float32Tensor } from '../../../models/tensor/index.ts'
import { buildAddOneModel } from '../../fixtures/onnx-builder.ts'
import { until } from '../../fixtures/until.ts'
import { assertSameLeaves, forever } from './exact-laws.ts'

interface Context {
  directory: string
  model: Uint8Array
  modelPath: string
  prepared: PreparedHost
  /** Processes that it gave, by id. */
  given: (number | undefined)[]
}

const test = suite<Context>('prepared host')

test.before(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), 'verimesh-prepared-'))
  context.model = buildAddOneModel()
  context.modelPath = join(context.directory, 'model.onnx')
  await writeFile(context.modelPath, context.model)
})
test.before.each((context) => {
  context.prepared = prepareExactHost()
  context.given = []
})
test.after.each(({ prepared }) => prepared.close())
test.after(({ directory }) => rm(directory, { recursive: true }))

function open({ modelPath, prepared, given }: Context) {
  const spawn: PreparedHost['spawn'] = (options) => {
    const host = prepared.spawn(options)
    given.push(host.pid)
    return host
  }
  return createExactRuntime({ modelPath }, { spawn })
}

const inputs = encodeTensors([float32Tensor('x', [1, 3], new Float32Array([1, 2, 3]))])

test('a model loads into the process that waited for one, and says its own signature', async (context) => {
  const runtime = open(context)
  try {
    const here = createInProcessExactRuntime(context.model)
    assertSameLeaves(await runtime.trace(inputs, forever), await here.trace(inputs, forever))
    const wrong = encodeTensors([float32Tensor('z', [1, 3], new Float32Array(3))])
    const error = await runtime.trace(wrong, forever).then(
      () => undefined,
      (error: unknown) => error,
    )
    assert.ok(error instanceof RuntimeError && error.code === 'input-mismatch')
    // It is not this one's to end any more.
    context.prepared.close()
    await runtime.trace(inputs, forever)
    assert.equal(context.given, [context.prepared.pid])
  } finally {
    await runtime.close()
  }
})

test('only one model gets it; the next gets a process of its own', async (context) => {
  const runtimes = [open(context), open(context)]
  try {
    const [left, right] = await Promise.all(runtimes.map((runtime) => runtime.trace(inputs, forever)))
    assertSameLeaves(left!, right!)
    assert.is(new Set(context.given).size, 2)
  } finally {
    await Promise.all(runtimes.map((runtime) => runtime.close()))
  }
})

test('where it has ended, nobody notices but by the time that it takes', async (context) => {
  const pid = context.prepared.pid!
  process.kill(pid, 'SIGKILL')
  await until('the process is gone', () => !isAlive(pid))
  const runtime = open(context)
  try {
    await runtime.load()
    assert.is(context.given.length, 1)
    assert.is.not(context.given[0], pid)
  } finally {
    await runtime.close()
  }
})

test.run()

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

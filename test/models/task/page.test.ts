import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Manifest } from '../../../models/manifest/index.ts'
import {
  createTask,
  type Execute,
  type RgbImage,
  TaskError,
  type TaskModel,
} from '../../../models/task/index.ts'
import { float32Elements, float32Tensor, type Tensor } from '../../../models/tensor/index.ts'

/** Three rows of text, black on white, at these heights: the wide gap above the last one starts a paragraph. */
const ROWS = [40, 80, 120, 200] as const
const image = pageImage()
const recognition = model('text-recognition', { files: ['keys.txt'] }, 'keys.txt', 'a\nb\nc\nd\n')
const detection = model('ocr', { companions: { recognition: 'bafy' } })

/** A detection network that finds the rows, and a recognition network that reads the n-th letter in the n-th row. */
const execute: Execute = async ({ role, inputs, label }) =>
  role === 'self' ? [heatmapOf(inputs[0]!)] : [letter(Number(label.slice(5)))]

test('reads a page: rows in order, an empty line before a paragraph, boxes in pixels of the image', async () => {
  const reading = await createTask(detection, { recognition }).run(image, execute)
  assert.is(reading.text, 'a\nb\nc\n\nd')
  assert.equal(
    reading.lines.map(({ box }) => Math.round((box[0].y + box[2].y) / 2)),
    ROWS.map((top) => top + 5),
  )
})

test('all lines are in flight together, each with its own input, and progress tells of each', async () => {
  const waiting: (() => void)[] = []
  const seen: string[] = []
  const inputs = new Set<Tensor>()
  const held: Execute = async (execution) => {
    if (execution.role === 'self') return execute(execution)
    inputs.add(execution.inputs[0]!)
    await new Promise<void>((resolve) => {
      waiting.push(resolve)
      // The last line to start lets all of them go, those that wait already in reverse order before itself.
      if (waiting.length === ROWS.length) for (const resume of waiting.reverse()) resume()
    })
    return execute(execution)
  }
  await createTask(detection, { recognition }).run(image, held, {
    onProgress: (progress) =>
      seen.push(
        progress.stage === 'detected' ? `${progress.total}` : `${progress.done} line ${progress.line}`,
      ),
  })
  assert.is(inputs.size, ROWS.length)
  assert.equal(seen, ['4', '1 line 2', '2 line 1', '3 line 0', '4 line 3'])
})

test('a line that fails fails the page with its error and aborts the others', async () => {
  const failure = new Error('nobody answers')
  let aborted = 0
  const failing: Execute = async (execution) => {
    if (execution.role === 'self') return execute(execution)
    if (execution.label === 'line 2') throw failure
    return new Promise((_, reject) => {
      execution.signal.addEventListener('abort', () => {
        aborted++
        reject(execution.signal.reason)
      })
    })
  }
  assert.is(await rejection(createTask(detection, { recognition }).run(image, failing)), failure)
  assert.is(aborted, ROWS.length - 1)
})

test('an aborted signal reaches the lines that are being read', async () => {
  const controller = new AbortController()
  const reason = new Error('enough')
  const waiting: Execute = async (execution) => {
    if (execution.role === 'self') return execute(execution)
    return new Promise((_, reject) => {
      execution.signal.addEventListener('abort', () => reject(execution.signal.reason))
      if (execution.label === `line ${ROWS.length}`) controller.abort(reason)
    })
  }
  const run = createTask(detection, { recognition }).run(image, waiting, { signal: controller.signal })
  assert.is(await rejection(run), reason)
})

test('a page without text is an empty reading', async () => {
  const empty: Execute = async ({ inputs }) => {
    const [, , height, width] = inputs[0]!.dims
    return [float32Tensor('y', [1, 1, height!, width!], new Float32Array(height! * width!))]
  }
  assert.equal(await createTask(detection, { recognition }).run(image, empty), { text: '', lines: [] })
})

test('text-recognition reads a whole image as one line', async () => {
  const { text, lines } = await createTask(recognition).run(image, async ({ role, label }) => {
    assert.equal([role, label], ['self', 'line 1'])
    return [letter(3)]
  })
  assert.is(text, 'c')
  assert.equal(lines[0]!.box[2], { x: image.width, y: image.height })
})

test('refuses no outputs, and more than one', async () => {
  for (const outputs of [[], [letter(1), letter(1)]]) {
    const error = await rejection(createTask(recognition).run(image, async () => outputs))
    assert.is((error as TaskError).code, 'unexpected-output', `${outputs.length} outputs`)
  }
})

test('says what a model lacks for its task', () => {
  const { task: _, ...untasked } = detection.manifest
  const narrow: Manifest = {
    ...detection.manifest,
    signature: { ...detection.manifest.signature, inputs: [] },
  }
  const cases: [string, TaskModel, Record<string, TaskModel>][] = [
    ['unsupported-task', { manifest: untasked, files: new Map() }, {}],
    ['unsupported-task', model('poetry', {}), {}],
    ['missing-companion', detection, {}],
    ['missing-companion', detection, { other: recognition }],
    ['missing-task-file', { ...recognition, files: new Map() }, {}],
    ['missing-task-file', detection, { recognition: detection }],
    ['malformed-task-file', model('text-recognition', { files: ['keys.txt'] }, 'keys.txt', ''), {}],
    ['unexpected-signature', { manifest: narrow, files: new Map() }, { recognition }],
  ]
  for (const [code, subject, companions] of cases) {
    assert.throws(
      () => createTask(subject, companions),
      (error: unknown) => error instanceof TaskError && error.code === code,
      code,
    )
  }
})

function model(
  kind: string,
  task: { files?: readonly string[]; companions?: Record<string, string> },
  path?: string,
  content = '',
): TaskModel {
  const value = { name: 'x', dtype: 'float32', dims: ['n', 3, 'h', 'w'] } as const
  const manifest: Manifest = {
    verimesh: 1,
    name: kind,
    model: 'model.onnx',
    files: [],
    signature: { inputs: [value], outputs: [{ ...value, name: 'y' }] },
    lanes: ['native'],
    tolerance: { tau: 5e-5 },
    batching: { independent: true },
    task: { kind, files: task.files ?? [], companions: task.companions ?? {}, parameters: {} },
  }
  return { manifest, files: new Map(path === undefined ? [] : [[path, Buffer.from(content)]]) }
}

function pageImage(): RgbImage {
  const [width, height] = [320, 256]
  const data = new Uint8Array(width * height * 3).fill(255)
  for (const top of ROWS) {
    for (let y = top; y < top + 10; y++) data.fill(0, (y * width + 20) * 3, (y * width + 300) * 3)
  }
  return { width, height, data }
}

/** Where the image is dark, there is text. */
function heatmapOf(input: Tensor): Tensor {
  const [, , height, width] = input.dims
  const dark = float32Elements(input)
    .subarray(0, height! * width!)
    .map((value) => (value < 0 ? 0.9 : 0))
  return float32Tensor('y', [1, 1, height!, width!], dark)
}

function letter(index: number): Tensor {
  const probabilities = new Float32Array(6)
  probabilities[index] = 1
  return float32Tensor('y', [1, 1, 6], probabilities)
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it was accepted')
}

test.run()

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { openModelStore } from '../../models/store/index.ts'
import {
  ELEMENT_BYTES,
  encodeNpy,
  type JsonElement,
  type Tensor,
  tensorToJson,
} from '../../models/tensor/index.ts'
import type { ClosedJob, JobResult } from '../node/index.ts'
import { CommandError } from './failure.ts'
import { readInputs } from './inputs.ts'
import { resolveModel } from './model-address.ts'
import { askNotes } from './notes.ts'
import { type AskOptions, askOptions, collect, termsOf } from './options.ts'
import { fileName } from './receipt.ts'
import { noteUnreachable, openSession } from './session.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { disputeLine, showProgress, verdictLine } from './verdict.ts'

interface InferOptions extends AskOptions {
  readonly input: readonly string[]
  readonly out?: string
}

/** Values of a tensor that are shown to a person. */
const SHOWN_VALUES = 8

export function addInferCommand(program: Command, terminal: Terminal, dataDirectory: string): void {
  const command = program
    .command('infer')
    .argument('<model>', 'a name or an address')
    .description('run a model of the mesh on raw tensors')
    .option(
      '--input <name=value>',
      'FILE.npy, FILE.json or JSON itself; one for each input of the model',
      collect,
      [],
    )
    .option(
      '--out <dir>',
      'write each output there as NAME.npy; "-" writes the only output to standard output',
    )
  askOptions(command, dataDirectory)
    .addHelpText('after', HELP)
    .action((model: string, options: InferOptions) => infer(model, options, terminal))
}

const HELP = `
Examples:
  verimesh infer bafy... --input x=image.npy
  verimesh infer classifier --input 'x=[[0.1, 0.2, 0.3]]' --replicas 1 --json
  verimesh infer bafy... --input x=image.npy --out - | python3 -c 'import sys, io, numpy; ...'

What a model takes and gives: verimesh models inspect MODEL
`

async function infer(text: string, options: InferOptions, terminal: Terminal): Promise<void> {
  const terms = termsOf(options)
  const store = await openModelStore(options.data)
  const model = resolveModel(text, store)
  const session = await openSession({ ...options, terminal })
  try {
    const { manifest } = await session.describe(model, undefined, options)
    const inputs = await readInputs(options.input, manifest.signature.inputs, text)
    const result = await session.submit({
      model,
      inputs,
      ...terms,
      onProgress: showProgress(terminal),
    })
    const closed = await result.closed
    terminal.progress('')
    if (closed.bundleError !== undefined) terminal.note(`warning: ${closed.bundleError.message}`)
    const final = { ...result, verdict: closed.verdict }
    const isHeld = store.get(model) !== undefined
    for (const note of askNotes(options, model, isHeld, [closed.verdict])) terminal.note(note)
    if (!options.json) for (const dispute of closed.disputes) terminal.note(disputeLine(dispute))
    if (options.out === '-') await writeOnly(result.outputs)
    else await show(final, closed, options, terminal)
    await session.finish(options)
  } finally {
    noteUnreachable(session, terminal)
    await session.close()
  }
}

async function show(
  result: JobResult,
  { bundle, disputes }: Pick<ClosedJob, 'bundle' | 'disputes'>,
  options: InferOptions,
  terminal: Terminal,
): Promise<void> {
  const files = options.out === undefined ? [] : await writeOutputs(result.outputs, options.out)
  const { jobId, model, verdict, wrong, elapsedMs } = result
  if (options.json) {
    const outputs = Object.fromEntries(
      result.outputs.map((tensor) => [
        tensor.name,
        {
          dtype: tensor.dtype,
          dims: tensor.dims,
          ...(options.out === undefined ? { data: tensorToJson(tensor) } : {}),
        },
      ]),
    )
    return terminal.printJson({
      jobId,
      model,
      verdict,
      wrong,
      elapsedMs,
      disputes,
      outputs,
      files,
      receipt: bundle,
    })
  }
  const rows = result.outputs.map((tensor) => [
    tensor.name,
    `${tensor.dtype}[${tensor.dims.join(', ')}]`,
    sample(tensor),
  ])
  for (const line of table(['output', 'type', 'values'], rows)) terminal.print(line)
  for (const file of files) terminal.note(`wrote ${file}`)
  terminal.note(verdictLine(verdict, elapsedMs, wrong))
  if (bundle !== undefined) terminal.note(`receipt: ${bundle}`)
}

function sample({ name, dtype, data }: Tensor): string {
  const count = data.byteLength / ELEMENT_BYTES[dtype]
  const head = Math.min(count, SHOWN_VALUES)
  // Only what is shown: lists of all values of an output can take gigabytes.
  const part = { name, dtype, dims: [head], data: data.subarray(0, head * ELEMENT_BYTES[dtype]) }
  const shown = (tensorToJson(part) as JsonElement[]).map((value) =>
    typeof value === 'number' ? Number(value.toPrecision(6)) : value,
  )
  return `${shown.join(', ')}${count > head ? `, ... ${count} in all` : ''}`
}

async function writeOutputs(outputs: readonly Tensor[], directory: string): Promise<string[]> {
  try {
    await mkdir(directory, { recursive: true })
  } catch (cause) {
    throw new CommandError('unwritable-output', `${directory} cannot be made a directory for the outputs`, {
      cause,
    })
  }
  return Promise.all(
    outputs.map(async (tensor) => {
      const path = join(directory, `${fileName(tensor.name)}.npy`)
      await writeFile(path, encodeNpy(tensor))
      return path
    }),
  )
}

async function writeOnly(outputs: readonly Tensor[]): Promise<void> {
  const [output] = outputs
  if (output === undefined || outputs.length !== 1) {
    throw new CommandError(
      'usage',
      `--out - needs a model with one output; this one has ${outputs.length}: name a directory`,
    )
  }
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(encodeNpy(output), (error) => (error ? reject(error) : resolve()))
  })
}

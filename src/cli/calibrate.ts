import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import { type Calibration, calibrate } from '../../models/calibration/index.ts'
import { createExactRuntime, createNativeRuntime } from '../../models/runtime/index.ts'
import { openModelStore, type StoredModel } from '../../models/store/index.ts'
import type { Tensor } from '../../models/tensor/index.ts'
import { writeMeasurement } from '../node/index.ts'
import { CommandError } from './failure.ts'
import { readInputs } from './inputs.ts'
import { addCommand, resolveModel } from './model-address.ts'
import { type CommonOptions, collect } from './options.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'

export function addCalibrateCommand(models: Command, terminal: Terminal, dataDirectory: string): void {
  models
    .command('calibrate')
    .argument('<model>', 'a name or an address of this machine')
    .description(
      'measure how far honest answers of a model lie apart on this machine, and which lanes it may serve',
    )
    .option(
      '--sample <name=value>',
      'an input to measure with, as for infer: one for each input; without it some are drawn',
      collect,
      [],
    )
    .option('--data <dir>', 'where models lie', dataDirectory)
    .option('--json', 'print one JSON object', false)
    .action((model: string, options: CommonOptions & { sample: readonly string[] }) =>
      calibrateCommand(model, options, terminal),
    )
}

async function calibrateCommand(
  text: string,
  { data, json, sample }: CommonOptions & { sample: readonly string[] },
  terminal: Terminal,
): Promise<void> {
  const store = await openModelStore(data)
  const cid = resolveModel(text, store)
  const model = store.get(cid)
  if (model === undefined) {
    throw new CommandError('unknown-model', `${text} is not on this machine: ${addCommand(cid, data)}`)
  }
  const inputs =
    sample.length === 0
      ? undefined
      : await readInputs(sample, model.manifest.signature.inputs, text, '--sample')
  const found = await calibrateModel(model, { data, terminal, ...(inputs === undefined ? {} : { inputs }) })
  if (json) return terminal.printJson({ cid, name: model.name, tau: model.manifest.tolerance.tau, ...found })
  for (const line of describeCalibration(model, found)) terminal.print(line)
}

/** Measures, and keeps what was found beside the model. Rejects with CalibrationError. */
export async function calibrateModel(
  model: StoredModel,
  { data, terminal, inputs }: { data: string; terminal: Terminal; inputs?: readonly Tensor[] },
): Promise<Calibration> {
  const { manifest, modelPath, cid } = model
  const stop = new AbortController()
  const onInterrupt = (): void => stop.abort(new CommandError('refused', 'interrupted'))
  process.once('SIGINT', onInterrupt)
  const exact = () => createExactRuntime({ modelPath, signature: manifest.signature })
  try {
    const found = await calibrate(
      manifest,
      {
        native: ({ threads, batching }) =>
          createNativeRuntime({
            modelPath,
            signature: manifest.signature,
            batching,
            threads: Math.min(threads, availableParallelism()),
          }),
        ...(manifest.plan === undefined ? {} : { exact }),
      },
      {
        ...(inputs === undefined ? {} : { samples: [inputs] }),
        signal: stop.signal,
        onProgress: (step) => terminal.progress(`calibrating ${model.name}: ${step} ...`),
      },
    )
    const laneId = found.exact?.version
    if (laneId !== undefined)
      await writeMeasurement(data, cid, { laneId, exactLane: found.lanes.exact, calibration: found })
    return found
  } finally {
    terminal.progress('')
    process.off('SIGINT', onInterrupt)
  }
}

/** What a person is shown: a short table, what is proposed, and why a lane was refused. */
export function describeCalibration({ name, manifest }: StoredModel, found: Calibration): string[] {
  const { tau } = manifest.tolerance
  const rows = found.rows.map(({ comparison, spread }) => [
    comparison,
    Number.isFinite(spread) ? (spread === 0 ? 'equal' : spread.toExponential(1)) : 'nothing in common',
  ])
  const times = [`native ${milliseconds(found.nativeMs)}`]
  if (found.exactMs !== undefined) times.push(`exact ${milliseconds(found.exactMs)}`)
  if (found.traceMs !== undefined) times.push(`traced ${milliseconds(found.traceMs)}`)
  return [
    `${name}: how far answers of this machine lie apart, relative to the largest element`,
    ...table(['comparison', 'spread'], rows).map((line) => `  ${line}`),
    `  native lane  ${found.lanes.native.ok ? 'yes' : 'no'}: ${found.lanes.native.reason}`,
    `  exact lane   ${found.lanes.exact.ok ? 'yes' : 'no'}: ${found.lanes.exact.reason}`,
    `  tolerance    declared ${tau}; ${found.proposedTau === undefined ? 'none can be proposed' : `a publisher of this model could declare ${found.proposedTau}`}`,
    ...(found.independent === undefined
      ? []
      : [
          `  batching     rows ${found.independent ? 'are' : 'are not'} independent here; the model declares that they ${manifest.batching.independent ? 'are' : 'are not'}`,
        ]),
    `  time         ${times.join(', ')} a run`,
  ]
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
}

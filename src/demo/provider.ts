/**
 * One provider of the demo's mesh, as a process of its own: what `verimesh start` runs, plus the possibility to lie.
 * Prints one line of JSON when it takes jobs; ends on SIGINT, SIGTERM, or when its standard input ends.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openModelStore } from '../../models/store/index.ts'
import { parseDictionary } from '../../models/task/index.ts'
import {
  createLyingExactRuntime,
  createLyingRuntime,
  FORGERIES,
  substituteCharacters,
} from '../adversary/index.ts'
import { createLog, createNode, type NodeParts, prepareHeap } from '../node/index.ts'
import { importDemoModels } from './models.ts'
import type { ReadyLine } from './processes.ts'

prepareHeap()
const { values } = parseArgs({
  options: {
    listen: { type: 'string', multiple: true, default: [] },
    bootstrap: { type: 'string', multiple: true, default: [] },
    data: { type: 'string' },
    /** A data directory that holds the models already; without it they are imported from the installed package. */
    store: { type: 'string' },
    threads: { type: 'string' },
    /** Lie, with this seed. */
    lie: { type: 'string' },
    /** In which way its traces are forged. */
    forgery: { type: 'string', default: '0' },
    'until-stdin-ends': { type: 'boolean', default: false },
  },
})
if (values.data === undefined) throw new Error('--data DIR is missing')

const storeDirectory = values.store ?? values.data
const store = await openModelStore(storeDirectory)
if (values.store === undefined) await importDemoModels(store)

const node = await createNode({
  dataDirectory: values.data,
  storeDirectory,
  listen: values.listen,
  bootstrap: values.bootstrap,
  mdns: false,
  ...(values.threads === undefined ? {} : { threads: Number(values.threads) }),
  log: createLog({ level: 'info', json: false, write: (line) => process.stderr.write(`${line}\n`) }),
  ...(values.lie === undefined ? {} : { parts: await liar(Number(values.lie), Number(values.forgery)) }),
})
const stopping = untilAsked()
await Promise.all(store.list().map(({ cid }) => node.provide(cid)))
const ready: ReadyLine = { peerId: node.peerId, multiaddrs: node.multiaddrs() }
process.stdout.write(`${JSON.stringify(ready)}\n`)
await stopping
await node.stop({ drainMs: 1_000 })
process.exit(0)

/**
 * Every model's runtime misreads characters of the recognition model, and leaves traces of the same kind elsewhere. Asked
 * how it came to that, it signs a forged trace.
 */
async function liar(seed: number, forgeryIndex: number): Promise<NodeParts> {
  const task = store.list().find(({ manifest }) => manifest.task?.kind === 'text-recognition')
  const dictionary = task?.manifest.task?.files[0]
  if (task === undefined || dictionary === undefined)
    throw new Error('no model here has characters to misread')
  const strategy = substituteCharacters(parseDictionary(await readFile(join(task.directory, dictionary))))
  const forgery = FORGERIES[forgeryIndex % FORGERIES.length]!
  return {
    wrapRuntime: (runtime) => createLyingRuntime(runtime, { strategy, seed }),
    wrapExact: (runtime, _model, role) =>
      role === 'provider' ? createLyingExactRuntime(runtime, { strategy, seed, forgery }) : runtime,
  }
}

function untilAsked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    if (!values['until-stdin-ends']) return
    process.stdin.once('end', () => resolve())
    process.stdin.once('close', () => resolve())
    process.stdin.resume()
  })
}

import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { CATALOGUE } from '../../models/catalogue/index.ts'
import { replaceFile } from '../../peers/files/index.ts'
import { IDENTITY_FILE, loadOrCreateIdentity } from '../../peers/identity/index.ts'
import {
  type EvidenceKind,
  EXPORT_BYTES_MAX,
  joinReputation,
  type Ledger,
  openExport,
  readReputation,
  type Standing,
  sealExport,
  standingOf,
} from '../../peers/reputation/index.ts'
import { createSigner } from '../../protocols/envelope/index.ts'
import { isAccusablePeerId } from '../../protocols/fraud/index.ts'
import { connectControl } from '../control/index.ts'
import { absentPeer, type ExplainedStanding, type PeerStatus, printable } from '../node/index.ts'
import { CommandError } from './failure.ts'
import { type CommonOptions, dataOption } from './options.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'

export function addPeersCommands(program: Command, terminal: Terminal, dataDirectory: string): void {
  const peers = program
    .command('peers')
    .argument('[peer]', 'a peer id: everything that is known of it')
    .description(
      'whom this node knows, what they provide, and what it makes of what it has seen of their answers',
    )
    .option('--data <dir>', 'its data directory', dataDirectory)
    .option('--json', 'print one JSON value', false)
    .addHelpText('after', HELP)
    .action((peer: string | undefined, options: CommonOptions) =>
      peer === undefined ? list(options, terminal) : explain(peer, options, terminal),
    )
  // Wherever they stand, the parent takes them; the others are there to be told of.
  const inherited = (options: CommonOptions): CommonOptions => ({
    data: options.data ?? peers.opts<CommonOptions>().data,
    json: options.json || peers.opts<CommonOptions>().json,
  })
  peers
    .command('export')
    .argument('<file>', 'where to write it; "-" is standard output')
    .description('write what this node knows of others into a file, signed with its key')
    .option('--data <dir>', 'its data directory')
    .option('--json', 'print one JSON object', false)
    .action((file: string, options: CommonOptions) => exportTo(file, inherited(options), terminal))
  peers
    .command('import')
    .argument('<file>', 'what `peers export` wrote')
    .description('take in what a node with this key knew of others on another machine')
    .option('--data <dir>', 'its data directory')
    .option('--json', 'print one JSON object', false)
    .action((file: string, options: CommonOptions) => importFrom(file, inherited(options), terminal))
}

const HELP = `
Standings, from worst to best:
  condemned   proved to have lied: never asked again
  shunned     so much speaks against it that it is asked only where nobody else is left
  doubted     something speaks against it
  newcomer    nothing of it was checked yet: never asked alone
  known       runs of it were checked, and agreed

To move a node to another machine, take its ${IDENTITY_FILE} along and what it knows of others:
  verimesh peers export others.verimesh
  verimesh peers import others.verimesh
`

async function list({ data, json }: CommonOptions, terminal: Terminal): Promise<void> {
  const running = await connectControl(data)
  const peers = running === undefined ? remembered(readReputation(data)) : await running.peers()
  if (json) return terminal.printJson(peers)
  // Those who left and were never of use are for `--json`.
  const shown = peers.filter(
    ({ connected, models, results, standing }) =>
      connected || models.length > 0 || results > 0 || standing !== undefined,
  )
  if (shown.length === 0) terminal.print('nobody yet')
  else for (const line of peerLines(shown)) terminal.print(printable(line))
  if (running === undefined)
    terminal.note(`no node runs on ${data}: this is whom it remembers from what it saw of their answers`)
  if (shown.length > 0) terminal.note(`more of one: verimesh peers PEER${dataOption(data)}`)
}

/** Of a node that does not run: whom it has seen something of. */
function remembered(ledger: Ledger): PeerStatus[] {
  const nowMs = Date.now()
  return [...ledger.entries()].map((entry) => {
    const standing = standingOf(entry, (model) => ledger.trackRecord(entry.provider, model, nowMs))
    return absentPeer(standing, entry.condemned?.kind === 'fraud-proof')
  })
}

function peerLines(peers: readonly PeerStatus[]): string[] {
  const rows = peers
    .toSorted((a, b) => rankOf(a) - rankOf(b))
    .map(({ peerId, connected, rttMs, models, standing, exposed, addresses }) => [
      peerId,
      connected ? 'yes' : 'no',
      rttMs === undefined ? '-' : `${rttMs.toFixed(1)} ms`,
      models
        .map(({ cid }) => CATALOGUE.find((entry) => entry.cid === cid)?.name ?? `...${cid.slice(-8)}`)
        .join(', ') || '-',
      standing?.name ?? (exposed ? 'condemned' : 'newcomer'),
      standing?.reasons[0] ?? '-',
      addresses[0] ?? '-',
    ])
  return table(['peer', 'connected', 'round trip', 'provides', 'standing', 'why', 'address'], rows)
}

/** Those who are there come first. */
function rankOf({ connected, models }: PeerStatus): number {
  return connected ? 0 : models.length > 0 ? 1 : 2
}

async function explain(peer: string, { data, json }: CommonOptions, terminal: Terminal): Promise<void> {
  const running = await connectControl(data)
  const standing =
    running === undefined ? standingFrom(readReputation(data), peer) : await running.standing(peer)
  if (standing === undefined) {
    if (!isAccusablePeerId(peer))
      throw new CommandError(
        'unknown-peer',
        `"${peer}" is no peer id: those begin with 12D3KooW and have 52 characters. Known peers: verimesh peers${dataOption(data)}`,
      )
    throw new CommandError(
      'unknown-peer',
      `nothing was seen of ${peer}: it is a newcomer, and never asked alone where a --risk decides. Known peers: verimesh peers${dataOption(data)}`,
    )
  }
  if (json) terminal.printJson(standing)
  else for (const line of standingLines(standing)) terminal.print(printable(line))
}

function standingFrom(ledger: Ledger, peer: string): ExplainedStanding | undefined {
  const entry = ledger.entry(peer)
  if (entry === undefined) return undefined
  const nowMs = Date.now()
  return { ...standingOf(entry, (model) => ledger.trackRecord(peer, model, nowMs)), recent: entry.recent }
}

function standingLines(standing: ExplainedStanding): string[] {
  const { provider, name, saboteur, classes, reliability, reasons, recent } = standing
  const lines = [
    `peer      ${provider}`,
    `standing  ${name}: ${MEANS[name]}`,
    `          that it lies at times is ${percent(saboteur)} probable, by what this node has seen`,
    ...reasons.map((reason, index) => `${index === 0 ? 'why  ' : '     '}     ${reason}`),
    `answers   ${percent(reliability)} of what it takes, lately`,
  ]
  if (classes.length > 0) {
    const rows = classes.map(({ modelClass, checked, wrong }) => [
      CATALOGUE.find(({ cid }) => cid === modelClass)?.name ?? modelClass,
      checked >= 10 ? checked.toFixed(0) : checked.toFixed(1),
      String(Number(wrong.toPrecision(2))),
    ])
    lines.push('', ...table(['with the model', 'checked runs', 'its answer alone is wrong at most'], rows))
  }
  if (recent.length > 0) {
    const rows = recent
      .toReversed()
      .map(({ atMs, kind, strength, jobId, modelClass }) => [
        new Date(atMs).toISOString().slice(0, 19),
        KINDS[kind],
        kind === 'agreed' ? strength.toFixed(2) : '',
        jobId === '' ? '-' : jobId.slice(0, 12),
        CATALOGUE.find(({ cid }) => cid === modelClass)?.name ?? `...${modelClass.slice(-8)}`,
      ])
    lines.push('', ...table(['seen', 'what', 'counts', 'job', 'model'], rows))
  }
  return lines
}

const MEANS: Readonly<Record<Standing['name'], string>> = {
  newcomer: 'never asked alone',
  known: 'asked alone where that is enough for the risk',
  doubted: 'what it had earned is forfeited',
  shunned: 'asked only where nobody else is left',
  condemned: 'never asked again',
}

const KINDS: Readonly<Record<EvidenceKind, string>> = {
  agreed: 'agreed with others',
  disagreed: 'answered something else',
  'timed-out': 'did not answer in time',
  failed: 'took the job and failed',
  'violated-protocol': 'broke the protocol',
  'contradicted-exact': 'contradicted its own exact run',
  'contradicted-replay': 'contradicted its exact run and hardware like its own',
  'lost-dispute': 'signed a step that gives something else',
  withheld: 'was silent about its own answer',
  'fraud-proof': 'proved to have lied',
}

async function exportTo(file: string, { data, json }: CommonOptions, terminal: Terminal): Promise<void> {
  const { rawPrivateKey, peerId } = await loadOrCreateIdentity(data)
  const ledger = readReputation(data)
  const bytes = sealExport(createSigner(rawPrivateKey), ledger.entries(), Date.now())
  if (file === '-') return writeOut(bytes)
  await replaceFile(file, bytes, 0o600).catch((cause: unknown) => {
    throw new CommandError('unwritable-output', `${file} cannot be written`, { cause })
  })
  if (json)
    return terminal.printJson({
      file,
      peerId: String(peerId),
      providers: ledger.size,
      bytes: bytes.byteLength,
    })
  terminal.print(`wrote what ${peerId} knows of ${ledger.size} providers into ${file}`)
  terminal.note(`only a node with the same key takes it in: take ${join(data, IDENTITY_FILE)} along`)
}

function writeOut(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

async function importFrom(file: string, { data, json }: CommonOptions, terminal: Terminal): Promise<void> {
  const bytes = await readExport(file)
  const key = await stat(join(data, IDENTITY_FILE)).catch(() => undefined)
  if (key === undefined) {
    throw new CommandError(
      'no-identity',
      `${data} has no ${IDENTITY_FILE}: put that of the node there that wrote ${file}, since only what a node has seen itself counts`,
    )
  }
  const { peerId } = await loadOrCreateIdentity(data)
  const { entries, exportedAtMs } = openExport(bytes, String(peerId))
  joinReputation(data, entries)
  const exportedAt = new Date(exportedAtMs).toISOString()
  if (json) return terminal.printJson({ file, peerId: String(peerId), providers: entries.length, exportedAt })
  terminal.print(`took in what was known of ${entries.length} providers on ${exportedAt.slice(0, 10)}`)
}

async function readExport(file: string): Promise<Uint8Array> {
  const unreadable = (why: string, cause?: unknown): never => {
    throw new CommandError('unreadable-input', `${file} ${why}`, { cause })
  }
  const found = await stat(file).catch((cause: unknown) => unreadable('cannot be read', cause))
  if (!found.isFile()) return unreadable('is no file')
  if (found.size > EXPORT_BYTES_MAX)
    return unreadable(`is no export: it has ${found.size} bytes, and ${EXPORT_BYTES_MAX} are the most`)
  return readFile(file).catch((cause: unknown) => unreadable('cannot be read', cause))
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`
}

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { PeerView } from '../../peers/book/index.ts'
import { createEphemeralIdentity } from '../../peers/identity/index.ts'
import { loadPeers, SNAPSHOT_FILE, savePeers } from '../../peers/snapshot/index.ts'

const warnings: string[] = []
const log = { debug() {}, info() {}, warn: (message: string) => void warnings.push(message) }
let directory = ''
test.before.each(() => {
  warnings.length = 0
  directory = mkdtempSync(join(tmpdir(), 'verimesh-snapshot-'))
})
test.after.each(() => rmSync(directory, { recursive: true, force: true }))

const view = async (change: Partial<PeerView> = {}): Promise<PeerView> => ({
  peerId: (await createEphemeralIdentity()).peerId.toString(),
  addresses: ['/ip4/127.0.0.1/tcp/4001'],
  group: '',
  connected: false,
  rttMs: undefined,
  models: [],
  results: 0,
  disagreed: 0,
  ...change,
})

test('peers with an address are remembered, the connected before those who gave results before the rest', async () => {
  const [plain, proven, connected, nowhere] = await Promise.all([
    view(),
    view({ results: 3, disagreed: 1 }),
    view({ connected: true }),
    view({ connected: true, addresses: [] }),
  ])
  await savePeers(directory, [plain, proven, connected, nowhere])
  const remembered = await loadPeers(directory, log)
  assert.equal(
    remembered.map(({ peerId }) => peerId.toString()),
    [connected.peerId, proven.peerId, plain.peerId],
  )
  assert.is(remembered[0]?.multiaddrs[0]?.toString(), '/ip4/127.0.0.1/tcp/4001')
  assert.equal(warnings, [])
})

test('the file is bounded, however many peers are known', async () => {
  const { peerId } = await view()
  const many = Array.from({ length: 500 }, () => 0)
  const crowd = await Promise.all(
    many.map(() => view({ addresses: new Array(50).fill(`/dns4/${'a'.repeat(300)}/tcp/1`) })),
  )
  await savePeers(directory, [...crowd, { ...(crowd[0] as PeerView), peerId, connected: true }])
  const remembered = await loadPeers(directory, log)
  assert.is(remembered.length, 64)
  assert.is(remembered[0]?.peerId.toString(), peerId)
  assert.ok(remembered.every(({ multiaddrs }) => multiaddrs.length === 8))
})

test('no file is no warning', async () => {
  assert.equal(await loadPeers(directory, log), [])
  assert.equal(warnings, [])
})

test('a damaged file is kept aside with a warning, and the node starts without it', async () => {
  const path = join(directory, SNAPSHOT_FILE)
  const damages = [
    '',
    '{"version":1,"peers":[{"peerId":"x","multiaddrs":[]}]}',
    '{"version":2,"peers":[]}',
    '{"version":1,"peers":[{"peerId":"12D3KooWQbJEZbkBBQpy9vAD6DW91vchckrbyV2rwD6fpZtSS2zT","multiaddrs":["nonsense"]}]}',
    `[${'1,'.repeat(400_000)}1]`,
  ]
  for (const damage of damages) {
    warnings.length = 0
    writeFileSync(path, damage)
    assert.equal(await loadPeers(directory, log), [], damage.slice(0, 40))
    assert.is(warnings.length, 1, damage.slice(0, 40))
    assert.not(existsSync(path), damage.slice(0, 40))
    assert.is(readFileSync(`${path}.damaged`, 'utf8'), damage)
  }
})

test.run()

import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createProofStore,
  type ProofOrigin,
  type ProofStore,
  type ProofSummary,
  type StoreLimits,
} from '../../peers/fraud/index.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'

const directories: string[] = []
test.after.each(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})
const scratch = () => {
  const directory = mkdtempSync(join(tmpdir(), 'verimesh-proofs-'))
  directories.push(directory)
  return join(directory, 'proofs')
}
const key = (seed: number) => seededSigner(seed).peerId
const about = (seed: number): ProofSummary => ({
  accused: key(seed),
  kind: 'shape',
  model: 'bafkmodel',
  jobId: `job-${seed}`,
  publishable: true,
})
const bytesOf = (seed: number, length = 10) => new Uint8Array(length).fill(seed)
const warnings: string[] = []
test.before.each(() => {
  warnings.length = 0
})
const log = { debug() {}, info() {}, warn: (message: string) => warnings.push(message) }

let nowMs = Date.now()
const open = (directory: string, limits: Partial<StoreLimits> = {}) =>
  createProofStore(directory, { clock: { now: () => nowMs++, after: () => () => {} }, log, limits })
const add = (store: ProofStore, seed: number, origin: ProofOrigin = 'gossip', length = 10) =>
  store.add(about(seed), bytesOf(seed, length), origin)
const heldBy = (store: ProofStore, seeds: readonly number[]) =>
  seeds.filter((seed) => store.isHeld(key(seed)))

test('what was added is known, held and survives a restart', async () => {
  const directory = scratch()
  const store = await open(directory)
  assert.not(store.has(key(1)))
  const added = await add(store, 1, 'own')
  await add(store, 2)
  const id = createHash('sha256').update(bytesOf(1)).digest('hex')
  assert.equal(added, { ...about(1), id, bytes: 10, foundAtMs: added!.foundAtMs, origin: 'own' })
  for (const one of [store, await open(directory)]) {
    assert.equal(
      one.list().map(({ accused }) => accused),
      [key(1), key(2)],
    )
    assert.equal(one.find(key(1)), added)
    assert.equal(one.findHeld(id), added)
    assert.equal([...(await one.get(key(2)))!], [...bytesOf(2)])
  }
  assert.equal(warnings, [])
})

test('proofs are for their owner alone, and nothing but whole files is there', async () => {
  const directory = scratch()
  const store = await open(directory)
  await Promise.all([add(store, 1), add(store, 2), add(store, 3)])
  assert.equal(
    readdirSync(directory).sort(),
    ['exposed.jsonl', ...[1, 2, 3].map((seed) => `${key(seed)}.proof`)].sort(),
  )
  assert.is(statSync(directory).mode & 0o777, 0o700)
  for (const name of readdirSync(directory))
    assert.is(statSync(join(directory, name)).mode & 0o777, 0o600, name)
})

test('a key has one proof, the first one', async () => {
  const store = await open(scratch())
  await add(store, 1)
  assert.is(await store.add(about(1), bytesOf(9), 'own'), undefined)
  assert.equal([...(await store.get(key(1)))!], [...bytesOf(1)])
  const both = await Promise.all([add(store, 2), store.add(about(2), bytesOf(9), 'gossip')])
  assert.is(both.filter((one) => one !== undefined).length, 1, 'also when two come at once')
})

test('what is added at the same moment is all remembered', async () => {
  const directory = scratch()
  const store = await open(directory)
  const seeds = Array.from({ length: 20 }, (_, index) => index + 1)
  await Promise.all(seeds.map((seed) => add(store, seed)))
  assert.equal(heldBy(await open(directory), seeds), seeds)
})

test('where proofs are too many, those of others are dropped first and the oldest of them; their keys stay exposed', async () => {
  const directory = scratch()
  const store = await open(directory, { heldProofs: 3 })
  for (const [seed, origin] of [
    [1, 'own'],
    [2, 'gossip'],
    [3, 'gossip'],
    [4, 'own'],
    [5, 'gossip'],
  ] as const) {
    await add(store, seed, origin)
  }
  const all = [1, 2, 3, 4, 5]
  assert.equal(heldBy(store, all), [1, 4, 5])
  await add(store, 6, 'own')
  await add(store, 7, 'own')
  assert.equal(heldBy(store, [...all, 6, 7]), [4, 6, 7], 'then the oldest of its own')
  await add(store, 8)
  assert.equal(heldBy(store, [...all, 6, 7, 8]), [4, 6, 7], 'which no proof of others drives out')
  const after = await open(directory)
  for (const one of [store, after]) {
    assert.is(one.list().length, 8)
    assert.is(await one.get(key(8)), undefined)
  }
  assert.equal(heldBy(after, [...all, 6, 7, 8]), [4, 6, 7])
})

test('where bytes are short, the largest proof of others gives way', async () => {
  const store = await open(scratch(), { heldBytes: 100 })
  for (const seed of [1, 2, 3]) await add(store, seed, 'gossip', 20)
  await add(store, 4, 'gossip', 90)
  assert.equal(heldBy(store, [1, 2, 3, 4]), [1, 2, 3], 'the new one, here')
  await add(store, 5, 'own', 60)
  assert.equal(heldBy(store, [1, 2, 3, 4, 5]), [2, 3, 5])
  await add(store, 6, 'own', 101)
  assert.equal(heldBy(store, [1, 2, 3, 4, 5, 6]), [5], 'what is too large for the store is not held at all')
  assert.is(store.list().length, 6)
})

test('the memory of exposed keys is bounded, and those that this node exposed stay longest', async () => {
  const directory = scratch()
  const store = await open(directory, { exposures: 3 })
  await add(store, 1, 'own')
  for (const seed of [2, 3, 4]) await add(store, seed)
  const known = [1, 2, 3, 4].filter((seed) => store.has(key(seed)))
  assert.equal(known, [1, 3, 4])
  assert.not(readdirSync(directory).includes(`${key(2)}.proof`))
})

test('a damaged proof is warned of by its name and not given away; its key stays exposed', async () => {
  for (const damage of [new Uint8Array(0), bytesOf(9), bytesOf(1, 11)]) {
    const directory = scratch()
    await add(await open(directory), 1)
    warnings.length = 0
    const store = await open(directory)
    writeFileSync(join(directory, `${key(1)}.proof`), damage)
    assert.is(await store.get(key(1)), undefined, 'damaged while it is open')
    assert.not(store.isHeld(key(1)))
    const after = await open(directory)
    assert.ok(after.has(key(1)))
    assert.not(after.isHeld(key(1)))
    assert.is(warnings.length, 2)
    assert.ok(warnings.every((warning) => warning.includes(`${key(1)}.proof`)))
  }
})

test('a file that this node has not verified exposes nobody', async () => {
  const directory = scratch()
  await add(await open(directory), 1)
  writeFileSync(join(directory, `${key(2)}.proof`), bytesOf(2))
  writeFileSync(join(directory, 'notes.proof'), 'nonsense')
  const [old, recent] = ['old', 'recent'].map((age) => join(directory, `${key(1)}.proof.${age}.tmp`))
  for (const path of [old!, recent!]) writeFileSync(path, 'half')
  utimesSync(old!, new Date(0), new Date(0))
  const store = await open(directory)
  assert.equal(
    store.list().map(({ accused }) => accused),
    [key(1)],
  )
  assert.is(warnings.length, 2)
  assert.not(existsSync(old!), 'what a power cut left is removed')
  assert.ok(existsSync(recent!), 'what another process may be writing is not')
})

test('two processes that share a directory lose nothing of each other', async () => {
  const directory = scratch()
  const [one, other] = [await open(directory), await open(directory)]
  await add(one, 1)
  await add(other, 2)
  assert.equal(heldBy(other, [1, 2]), [1, 2])
  assert.is(await other.add(about(1), bytesOf(9), 'own'), undefined, 'a key has one proof')
  await add(one, 3)
  assert.equal(heldBy(one, [1, 2, 3]), [1, 2, 3])
  assert.equal(heldBy(await open(directory), [1, 2, 3]), [1, 2, 3])
  assert.equal(warnings, [])
})

test('a damaged line costs only itself', async () => {
  const directory = scratch()
  const before = await open(directory)
  for (const seed of [1, 2]) await add(before, seed)
  const path = join(directory, 'exposed.jsonl')
  const [first, second] = readFileSync(path, 'utf8').trim().split('\n')
  const bad = [
    'nonsense',
    'null',
    '[]',
    first!.replace('"shape"', '"rumour"'),
    first!.replace(key(1), '../../etc/passwd'),
    first!.replace('"bytes":10', '"bytes":-1'),
    first!.replace('"gossip"', '"hearsay"'),
    first!.slice(0, 40),
  ]
  for (const line of bad) {
    writeFileSync(path, `${line}\n${second}\n`)
    warnings.length = 0
    const store = await open(directory)
    assert.equal(
      store.list().map(({ accused }) => accused),
      [key(2)],
      line,
    )
    assert.match(warnings[0]!, 'exposed.jsonl', line)
  }
})

test('a directory that cannot be written to costs a warning, and the key is exposed', async () => {
  const directory = scratch()
  writeFileSync(directory, 'a file where a directory should be')
  const store = await open(directory)
  assert.ok(await add(store, 1))
  assert.ok(store.has(key(1)))
  assert.not(store.isHeld(key(1)))
  assert.ok(warnings.length >= 2)
})

test.run()

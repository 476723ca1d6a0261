import { appendFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DIRECTORY_BLOCKS_BYTES_MAX, verifyDirectoryBlocks } from '../../../models/address/index.ts'
import {
  decodeManifest,
  encodeManifest,
  MANIFEST_FILE,
  type Manifest,
} from '../../../models/manifest/index.ts'
import { importSource } from '../../../models/source/index.ts'
import {
  createMemoryModelStore,
  type ModelStore,
  openModelStore,
  type StoredModel,
  StoreError,
  type StoreErrorCode,
} from '../../../models/store/index.ts'
import { buildAffineModel } from '../../fixtures/onnx-builder.ts'
import { inScratch, TINY, write } from '../source/scene.ts'

test('takes an import, lists it and finds it by name and address', () =>
  inScratch(async (scratch) => {
    const store = await openModelStore(join(scratch, 'data'))
    const model = await add(store, scratch)
    assert.is(store.get(model.cid), model)
    assert.is(store.resolve(model.cid), model)
    assert.is(store.resolve('tiny'), model)
    assert.is(store.resolve('other'), undefined)
    assert.equal(store.list(), [model])
    assert.equal(await readFile(model.modelPath), Buffer.from(TINY))
    assert.equal(await readdir(store.workDirectory), [])
    await store.verify(model.cid)
  }))

test('holds exactly the model directory under its address', () =>
  inScratch(async (scratch) => {
    const store = await openModelStore(join(scratch, 'data'))
    const model = await add(store, scratch)
    assert.is(model.directory, join(scratch, 'data/models', model.cid))
    assert.equal(
      (await readdir(model.directory)).sort(),
      [MANIFEST_FILE, 'words'].sort().concat('tiny.onnx').sort(),
    )
  }))

test('keeps models and names over a restart', () =>
  inScratch(async (scratch) => {
    const model = await add(await openModelStore(join(scratch, 'data')), scratch, 'mine')
    const reopened = await openModelStore(join(scratch, 'data'))
    assert.is(reopened.resolve('mine')?.cid, model.cid)
    assert.is(reopened.get(model.cid)?.name, 'mine')
    assert.equal(reopened.get(model.cid)?.manifest, model.manifest)
  }))

test('sees on refresh what another process added and removed', () =>
  inScratch(async (scratch) => {
    const [one, other] = [
      await openModelStore(join(scratch, 'data')),
      await openModelStore(join(scratch, 'data')),
    ]
    const { cid } = await add(one, scratch)
    assert.is(other.get(cid), undefined)
    await other.refresh()
    assert.is(other.get(cid)?.cid, cid)
    const before = other.get(cid)
    await other.refresh()
    assert.is(other.get(cid), before)
    assert.ok(await one.remove(cid))
    await other.refresh()
    assert.is(other.get(cid), undefined)
  }))

test('adding a model again keeps it and changes its name; a new model takes a name over', () =>
  inScratch(async (scratch) => {
    const store = await openModelStore(join(scratch, 'data'))
    const first = await add(store, scratch)
    await write(scratch, { [`source/${MANIFEST_FILE}`]: encodeManifest(first.manifest) })
    const again = await add(store, scratch, 'renamed')
    assert.is(again.cid, first.cid)
    assert.is(store.resolve('renamed'), again)
    assert.is(store.list().length, 1)
    await write(scratch, { 'other/other.onnx': buildAffineModel({ columns: 3 }) })
    const imported = await importSource(join(scratch, 'other'), {
      workDirectory: store.workDirectory,
      name: 'renamed',
    })
    const taker = await store.add(imported)
    assert.is(store.resolve('renamed'), taker)
    assert.is(store.get(first.cid)?.name, 'tiny')
    assert.equal(await readdir(store.workDirectory), [])
  }))

test('gives away the blocks of manifest and task files, which verify against the address', () =>
  inScratch(async (scratch) => {
    const store = await openModelStore(join(scratch, 'data'))
    const model = await addWithTask(store, scratch)
    const blocks = await store.taskBlocks(model)
    const manifest = decodeManifest(
      verifyDirectoryBlocks(model.cid, blocks, [MANIFEST_FILE]).get(MANIFEST_FILE)!,
    )
    assert.equal(manifest, model.manifest)
    const files = verifyDirectoryBlocks(model.cid, blocks, manifest.task!.files)
    assert.is(Buffer.from(files.get('words/list.txt')!).toString(), 'one')
    // Root, folder, manifest and one block for two equal files.
    assert.is(blocks.length, 4)
    assert.is(await store.taskBlocks(model), blocks)
  }))

test('gives no file away that is too large to travel, none that it does not have', () =>
  inScratch(async (scratch) => {
    const store = await openModelStore(join(scratch, 'data'))
    await write(scratch, { 'source/large': new Uint8Array(DIRECTORY_BLOCKS_BYTES_MAX + 1) })
    const model = await add(store, scratch)
    await rejects(model.blocks(['large']), 'too-large')
    await rejects(model.blocks(['../../.names.json']), 'corrupt-store')
    await store.verify(model.cid)
  }))

test('names the file that is damaged', () =>
  inScratch(async (scratch) => {
    const store = await openModelStore(join(scratch, 'data'))
    const model = await addWithTask(store, scratch)
    await appendFile(model.modelPath, 'x')
    assert.match((await rejects(store.verify(model.cid), 'corrupt-store')).message, '"tiny.onnx"')
    await rm(model.modelPath)
    assert.match((await rejects(store.verify(model.cid), 'corrupt-store')).message, '"tiny.onnx"')
    await writeFile(join(model.directory, 'words/list.txt'), 'two')
    assert.match((await rejects(model.blocks(['words/list.txt']), 'corrupt-store')).message, 'words/list.txt')
    await rejects(
      store.verify('bafybeiap6lgruga5sh6k4oid2wmvtaumbxytk22ssnnaq2ycfgymoxje5y'),
      'unknown-model',
    )
  }))

test('does not list a model whose manifest is damaged; adding it again mends it', () =>
  inScratch(async (scratch) => {
    const data = join(scratch, 'data')
    const { cid, directory } = await add(await openModelStore(data), scratch)
    const path = join(directory, MANIFEST_FILE)
    for (const damage of [
      async () => writeFile(path, (await readFile(path, 'utf8')).replace('tiny', 'TINY')),
      () => rm(path),
      () => rm(path).then(() => symlink('/etc/hostname', path)),
      () => rm(path, { force: true }).then(() => mkdir(path)),
      () => writeFile(join(data, 'models/.directories', cid), '[["","AAAA"]]'),
      () => rm(join(data, 'models/.directories', cid)),
    ]) {
      await damage()
      const store = await openModelStore(data)
      assert.equal(store.list(), [])
      await rejects(store.verify(cid), 'corrupt-store')
      assert.is((await add(store, scratch)).cid, cid)
      await store.verify(cid)
    }
  }))

test('removes a model and its names', () =>
  inScratch(async (scratch) => {
    const store = await openModelStore(join(scratch, 'data'))
    const { cid } = await add(store, scratch, 'mine')
    assert.ok(await store.remove(cid))
    assert.not(await store.remove(cid))
    assert.is(store.resolve('mine'), undefined)
    assert.equal((await readdir(join(scratch, 'data/models'))).sort(), [
      '.directories',
      '.names.json',
      '.work',
    ])
    assert.equal(await readdir(join(scratch, 'data/models/.directories')), [])
  }))

test('removes what a killed process left, and leaves alone what a living one does', () =>
  inScratch(async (scratch) => {
    const work = join(scratch, 'data/models/.work')
    // No process has this number: it is beyond what Linux gives out.
    await write(work, { '.import-99999999-abc/half': 'x', [`.import-${process.pid}-abc/half`]: 'x' })
    await openModelStore(join(scratch, 'data'))
    assert.equal(await readdir(work), [`.import-${process.pid}-abc`])
  }))

test('says what to do when the index of names is damaged', () =>
  inScratch(async (scratch) => {
    await write(scratch, { 'data/models/.names.json': '{"a":' })
    assert.match((await rejects(openModelStore(join(scratch, 'data')), 'corrupt-store')).message, 'Delete it')
  }))

test('the store in memory gives the same addresses and blocks', () =>
  inScratch(async (scratch) => {
    const disk = await openModelStore(join(scratch, 'data'))
    const memory = createMemoryModelStore()
    const model = await addWithTask(disk, scratch)
    const files = new Map<string, Uint8Array>()
    for (const { path } of model.manifest.files) files.set(path, await readFile(join(model.directory, path)))
    const same = await memory.addFiles(model.manifest, files)
    assert.is(same.cid, model.cid)
    const hex = (blocks: readonly Uint8Array[]) => blocks.map((block) => Buffer.from(block).toString('hex'))
    assert.equal(hex(await memory.taskBlocks(same)), hex(await disk.taskBlocks(model)))
    assert.is(memory.resolve('tiny'), same)
    assert.equal(memory.list(), [same])
    const imported = await importSource(join(scratch, 'source'), { workDirectory: join(scratch, 'work') })
    assert.is((await memory.add(imported)).cid, same.cid)
    assert.equal(await readdir(join(scratch, 'work')), [])
    await memory.verify(same.cid)
    assert.ok(await memory.remove(same.cid))
    await rejects(memory.verify(same.cid), 'unknown-model')
  }))

/** Imports the same little model each time, with two equal files in a folder. */
async function add(store: ModelStore, scratch: string, name?: string): Promise<StoredModel> {
  await write(scratch, {
    'source/tiny.onnx': TINY,
    'source/words/list.txt': 'one',
    'source/words/same.txt': 'one',
  })
  const { workDirectory } = store
  return store.add(
    await importSource(join(scratch, 'source'), { workDirectory, ...(name === undefined ? {} : { name }) }),
  )
}

async function addWithTask(store: ModelStore, scratch: string): Promise<StoredModel> {
  const { cid, manifest } = await add(store, scratch)
  await store.remove(cid)
  const files = ['words/list.txt', 'words/same.txt']
  const withTask: Manifest = { ...manifest, task: { kind: 'words', files, companions: {}, parameters: {} } }
  await write(scratch, { [`source/${MANIFEST_FILE}`]: encodeManifest(withTask) })
  return add(store, scratch)
}

async function rejects(promise: Promise<unknown>, code: StoreErrorCode): Promise<StoreError> {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  if (!(error instanceof StoreError)) throw error ?? new Error('it resolved')
  assert.is(error.code, code)
  return error
}

test.run()

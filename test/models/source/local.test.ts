import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { prepareExactModel, readModel } from '../../../models/graph/index.ts'
import { encodeManifest, MANIFEST_FILE } from '../../../models/manifest/index.ts'
import { discardImport, importSource, parseSource, SourceError } from '../../../models/source/index.ts'
import { buildModel } from '../../fixtures/onnx-builder.ts'
import { externalModel, inScratch, rejects, TINY, write } from './scene.ts'

const RANDOM = buildModel({
  inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', 2] }],
  outputs: [{ name: 'y', dtype: 'float32', dims: ['batch', 2] }],
  nodes: [{ operator: 'RandomUniformLike', name: 'dice', inputs: ['x'], outputs: ['y'] }],
  initializers: [],
})

test('imports a lone .onnx file, without what lies beside it', () =>
  inScratch(async (scratch) => {
    await write(scratch, { 'tiny.onnx': TINY, 'other.txt': 'x' })
    const imported = await importSource(join(scratch, 'tiny.onnx'), work(scratch))
    assert.equal((await readdir(imported.directory)).sort(), ['tiny.onnx', MANIFEST_FILE])
    assert.equal(await readFile(join(imported.directory, 'tiny.onnx')), Buffer.from(TINY))
    const { manifest } = imported
    assert.equal(
      await readFile(join(imported.directory, MANIFEST_FILE)),
      Buffer.from(encodeManifest(manifest)),
    )
    assert.is(manifest.name, 'tiny')
    assert.equal(manifest.signature.inputs, [{ name: 'x', dtype: 'float32', dims: ['batch', 2] }])
    assert.equal(
      {
        lanes: manifest.lanes,
        tolerance: manifest.tolerance,
        batching: manifest.batching,
        task: manifest.task,
      },
      {
        lanes: ['native', 'exact'],
        tolerance: { tau: 5e-5 },
        batching: { independent: false },
        task: undefined,
      },
    )
    const { plan } = prepareExactModel(readModel(TINY), new Map())
    assert.equal(manifest.plan, { version: 1, root: Buffer.from(plan.root).toString('hex') })
    await discardImport(imported)
    assert.equal(await readdir(work(scratch).workDirectory), [])
  }))

test('the same source has the same address, whatever this machine calls it', () =>
  inScratch(async (scratch) => {
    await write(scratch, { 'a/tiny.onnx': TINY, 'b/tiny.onnx': TINY, 'b/.hidden': 'x' })
    const first = await importSource(join(scratch, 'a/tiny.onnx'), work(scratch))
    const second = await importSource(join(scratch, 'b'), work(scratch))
    assert.is(first.cid, second.cid)
    const renamed = await importSource(join(scratch, 'b'), { ...work(scratch), name: 'mine' })
    assert.is(renamed.name, 'mine')
    assert.is(renamed.cid, first.cid)
  }))

test('refuses a model that the exact lane cannot run, and takes it for the native lane alone where told to', () =>
  inScratch(async (scratch) => {
    await write(scratch, { 'random.onnx': RANDOM, 'tiny.onnx': TINY })
    const { workDirectory } = work(scratch)
    const random = join(scratch, 'random.onnx')
    const error = await rejects(importSource(random, work(scratch)), 'unsupported-operator', workDirectory)
    assert.match(error.message, /RandomUniformLike \(version 17\) at node "dice".*random.*--native-only/)
    const admitted = await importSource(random, { ...work(scratch), nativeOnly: true })
    assert.equal(admitted.manifest.lanes, ['native'])
    assert.is(admitted.manifest.plan, undefined)

    const tiny = join(scratch, 'tiny.onnx')
    const [plain, told] = [
      await importSource(tiny, work(scratch)),
      await importSource(tiny, { ...work(scratch), nativeOnly: true }),
    ]
    assert.is(told.cid, plain.cid)
  }))

test('verifies the plan that a manifest states, and lets a publisher leave the exact lane out', () =>
  inScratch(async (scratch) => {
    await write(scratch, { 'm/tiny.onnx': TINY, 'r/random.onnx': RANDOM })
    const { workDirectory } = work(scratch)
    const derive = async (folder: string) => {
      const imported = await importSource(join(scratch, folder), { ...work(scratch), nativeOnly: true })
      await discardImport(imported)
      return imported.manifest
    }
    const tiny = await derive('m')
    const { plan, ...rest } = tiny
    const root = `${plan!.root.startsWith('0') ? '1' : '0'}${plan!.root.slice(1)}`
    await write(join(scratch, 'm'), {
      [MANIFEST_FILE]: encodeManifest({ ...tiny, plan: { version: 1, root } }),
    })
    await rejects(importSource(join(scratch, 'm'), work(scratch)), 'manifest-mismatch', workDirectory)
    await write(join(scratch, 'm'), { [MANIFEST_FILE]: encodeManifest({ ...rest, lanes: ['native'] }) })
    const native = await importSource(join(scratch, 'm'), work(scratch))
    assert.equal(native.manifest.lanes, ['native'])
    await discardImport(native)

    const random = await derive('r')
    const lie = encodeManifest({ ...random, lanes: ['native', 'exact'], plan: plan! })
    await write(join(scratch, 'r'), { [MANIFEST_FILE]: lie })
    const told = { ...work(scratch), nativeOnly: true }
    await rejects(importSource(join(scratch, 'r'), told), 'unsupported-operator', workDirectory)
  }))

test('a constant in external data is part of the plan', () =>
  inScratch(async (scratch) => {
    const roots: (string | undefined)[] = []
    for (const byte of [0, 1]) {
      const weights = new Uint8Array(16)
      weights[7] = byte
      await write(scratch, { 'm.onnx': externalModel('w.bin'), 'w.bin': weights })
      roots.push((await importSource(join(scratch, 'm.onnx'), work(scratch))).manifest.plan?.root)
    }
    assert.match(roots[0]!, /^[0-9a-f]{64}$/)
    assert.is.not(roots[0], roots[1])
  }))

test('takes external data along, wherever below the model it lies', () =>
  inScratch(async (scratch) => {
    await write(scratch, { 'm.onnx': externalModel('weights/w.bin'), 'weights/w.bin': new Uint8Array(16) })
    const { manifest } = await importSource(join(scratch, 'm.onnx'), work(scratch))
    assert.equal(
      manifest.files.map(({ path }) => path),
      ['m.onnx', 'weights/w.bin'],
    )
  }))

test('refuses external data that climbs, is missing, is cut short or is a link', () =>
  inScratch(async (scratch) => {
    await write(scratch, {
      secret: new Uint8Array(16),
      'short/short': new Uint8Array(15),
      'real/real': new Uint8Array(16),
    })
    const refuse = async (folder: string, location: string, code: Parameters<typeof rejects>[1]) => {
      await write(join(scratch, folder), { 'm.onnx': externalModel(location) })
      for (const source of ['m.onnx', '.']) {
        await rejects(
          importSource(join(scratch, folder, source), work(scratch)),
          code,
          work(scratch).workDirectory,
          location,
        )
      }
    }
    for (const location of [
      '../secret',
      'a/../../secret',
      'a/../b',
      '/etc/hostname',
      '..\\secret',
      'C:/secret',
      '.',
      '..',
    ]) {
      await refuse('climbs', location, 'external-data-escapes')
    }
    await refuse('misses', 'absent', 'external-data-missing')
    await refuse('short', 'short', 'corrupt-model')
    await mkdir(join(scratch, 'links'))
    await symlink(join(scratch, 'secret'), join(scratch, 'links/link'))
    await refuse('links', 'link', 'external-data-escapes')
    await mkdir(join(scratch, 'behind'))
    await symlink(join(scratch, 'real'), join(scratch, 'behind/folder'))
    await refuse('behind', 'folder/real', 'external-data-escapes')
  }))

test('refuses a corrupt or truncated .onnx file', () =>
  inScratch(async (scratch) => {
    for (const bytes of [
      new Uint8Array(),
      Buffer.from('not a model'),
      TINY.subarray(0, TINY.length - 1),
      TINY.subarray(0, TINY.length / 2),
    ]) {
      await write(scratch, { 'm.onnx': bytes })
      await rejects(
        importSource(join(scratch, 'm.onnx'), work(scratch)),
        'corrupt-model',
        work(scratch).workDirectory,
      )
    }
  }))

test('imports a directory with its own manifest, whose name and address stay', () =>
  inScratch(async (scratch) => {
    await write(scratch, { 'm/tiny.onnx': TINY, 'm/LICENSE': 'free' })
    const derived = await importSource(join(scratch, 'm'), work(scratch))
    await write(join(scratch, 'm'), { [MANIFEST_FILE]: encodeManifest(derived.manifest) })
    const again = await importSource(join(scratch, 'm'), { ...work(scratch), name: 'mine' })
    assert.is(again.cid, derived.cid)
    assert.is(again.name, 'mine')
    assert.is(again.manifest.name, 'tiny')
  }))

test('refuses a manifest that does not match its files', () =>
  inScratch(async (scratch) => {
    const model = await write(join(scratch, 'm'), { 'tiny.onnx': TINY, 'words.txt': 'one' })
    const { manifest } = await importSource(model, work(scratch)).then(async (imported) => {
      await discardImport(imported)
      return imported
    })
    const [output] = manifest.signature.outputs
    const cases: Record<string, Record<string, string | Uint8Array>> = {
      'other bytes': { 'words.txt': 'two' },
      'other length': { 'words.txt': 'three' },
      'a file too many': { 'words.txt': 'one', 'more.txt': 'x' },
      'a file that is listed but missing': {
        [MANIFEST_FILE]: encodeManifest({
          ...manifest,
          files: [...manifest.files, { ...manifest.files[1]!, path: 'z.txt' }],
        }),
      },
      'another signature': {
        [MANIFEST_FILE]: encodeManifest({
          ...manifest,
          signature: { ...manifest.signature, outputs: [{ ...output!, dims: ['batch', 3] }] },
        }),
      },
    }
    for (const [what, files] of Object.entries(cases)) {
      const folder = join(scratch, what)
      await write(folder, {
        'tiny.onnx': TINY,
        'words.txt': 'one',
        [MANIFEST_FILE]: encodeManifest(manifest),
        ...files,
      })
      await rejects(
        importSource(folder, work(scratch)),
        'manifest-mismatch',
        work(scratch).workDirectory,
        what,
      )
    }
    await write(model, { [MANIFEST_FILE]: '{}' })
    await rejects(importSource(model, work(scratch)), 'malformed-manifest', work(scratch).workDirectory)
  }))

test('refuses what is no model, or not one', () =>
  inScratch(async (scratch) => {
    await write(scratch, {
      'none/a.txt': 'x',
      'two/a.onnx': TINY,
      'two/b.onnx': TINY,
      'file.txt': 'x',
      'linked/a.onnx': TINY,
    })
    await symlink('a.onnx', join(scratch, 'linked/b.txt'))
    const { workDirectory } = work(scratch)
    await rejects(importSource(join(scratch, 'none'), work(scratch)), 'ambiguous-model', workDirectory)
    await rejects(importSource(join(scratch, 'two'), work(scratch)), 'ambiguous-model', workDirectory)
    await rejects(importSource(join(scratch, 'file.txt'), work(scratch)), 'bad-source', workDirectory)
    await rejects(importSource(join(scratch, 'absent'), work(scratch)), 'not-found', workDirectory)
    await rejects(importSource(join(scratch, 'linked'), work(scratch)), 'unsupported-file', workDirectory)
  }))

test('says what to do when the disk is full, and leaves nothing half-written', () =>
  inScratch(async (scratch) => {
    await write(scratch, { 'm.onnx': externalModel('w.bin'), 'w.bin': new Uint8Array(1024 * 1024) })
    const { workDirectory } = work(scratch)
    const script = `
      import { importSource } from ${JSON.stringify(join(import.meta.dirname, '../../../models/source/index.ts'))}
      await importSource(process.argv[1], { workDirectory: process.argv[2] }).catch((error) => console.log(error.code + ': ' + error.message))
    `
    // A limit on the size of a file is the nearest thing to a full disk that needs no rights.
    const child = spawnSync(
      'sh',
      [
        '-c',
        'ulimit -f 64; exec "$0" "$@"',
        process.execPath,
        '--input-type=module',
        '-e',
        script,
        join(scratch, 'm.onnx'),
        workDirectory,
      ],
      { encoding: 'utf8' },
    )
    assert.match(child.stdout, /^disk-full: .*Free some space/)
    assert.equal(await readdir(workDirectory), [])
  }))

test('stops when it is aborted, and leaves nothing behind', () =>
  inScratch(async (scratch) => {
    await writeFile(join(scratch, 'm.onnx'), TINY)
    const reason = new Error('enough')
    const { workDirectory } = work(scratch)
    const error = await importSource(join(scratch, 'm.onnx'), {
      workDirectory,
      signal: AbortSignal.abort(reason),
    }).catch((caught) => caught)
    assert.is(error, reason)
    assert.equal(await readdir(workDirectory), [])
  }))

test('tells sources apart', () => {
  assert.equal(parseSource('./models/a'), { kind: 'local', path: './models/a' })
  assert.equal(parseSource('C:\\models'), { kind: 'local', path: 'C:\\models' })
  assert.equal(parseSource('npm:@a/b@1.2.3#c/d.onnx'), {
    kind: 'npm',
    name: '@a/b',
    version: '1.2.3',
    path: 'c/d.onnx',
  })
  assert.equal(parseSource('npm:b@1.2.3-rc.1'), { kind: 'npm', name: 'b', version: '1.2.3-rc.1', path: '' })
  for (const text of [
    '',
    'npm:b',
    'npm:b@latest',
    'npm:b@^1.2.3',
    'npm:b@1.2',
    'npm:b@1.2.3#../c',
    'npm:b@1.2.3#/c',
    'npm:--evil@1.2.3; rm#a',
    'npm:-b c@1.2.3',
    'npm:../b@1.2.3',
    'hf:a/b',
    'https://example.org/a.onnx',
  ]) {
    assert.throws(
      () => parseSource(text),
      (error: unknown) => error instanceof SourceError && error.code === 'bad-source',
      text,
    )
  }
})

function work(scratch: string): { readonly workDirectory: string } {
  return { workDirectory: join(scratch, '.work') }
}

test('a dynamically quantised model is checked in the exact lane only', () =>
  inScratch(async (scratch) => {
    const quantised = buildModel({
      inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', 4] }],
      outputs: [{ name: 'y', dtype: 'uint8', dims: ['batch', 4] }],
      nodes: [{ operator: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['y', 'scale', 'zero'] }],
      initializers: [],
    })
    await write(scratch, { 'quantised.onnx': quantised })
    const { manifest } = await importSource(join(scratch, 'quantised.onnx'), work(scratch))
    assert.equal(manifest.lanes, ['exact'])
  }))

test.run()

import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { importSource } from '../../../models/source/index.ts'
import { withRegistry } from './registry.ts'
import { inScratch, rejects, TINY, tar, write } from './scene.ts'

const TARBALL = gzipSync(
  tar([
    { path: 'package/package.json', content: JSON.stringify({ name: '@acme/tiny', version: '1.0.0' }) },
    { path: 'package/models/tiny.onnx', content: TINY },
    { path: 'package/models/other.onnx', content: TINY },
  ]),
)

const PACKAGE = { name: '@acme/tiny', version: '1.0.0' }

test('imports a model from an npm package, to the same address as from its files', () =>
  withRegistry({ ...PACKAGE, tarball: TARBALL }, async ({ scratch, fetched }) => {
    const options = { workDirectory: join(scratch, 'work'), packageCache: join(scratch, 'cache') }
    const imported = await importSource('npm:@acme/tiny@1.0.0#models/tiny.onnx', options)
    await write(scratch, { 'tiny.onnx': TINY })
    assert.is(imported.cid, (await importSource(join(scratch, 'tiny.onnx'), options)).cid)
    assert.is(fetched(), 1)

    // From the cache, which npm is not asked about.
    assert.is((await importSource('npm:@acme/tiny@1.0.0#models/tiny.onnx', options)).cid, imported.cid)
    assert.is(fetched(), 1)

    // A cached tarball that was changed is not used.
    const [kept] = (await readdir(options.packageCache)).filter((name) => name.endsWith('.tgz'))
    const path = join(options.packageCache, kept!)
    const bytes = await readFile(path)
    bytes[bytes.length - 1] = bytes[bytes.length - 1]! ^ 1
    await writeFile(path, bytes)
    assert.is((await importSource('npm:@acme/tiny@1.0.0#models/tiny.onnx', options)).cid, imported.cid)
    assert.equal(await readFile(path), TARBALL)
  }))

test('refuses a package that does not exist, a path that is not in it and a folder of several models', () =>
  withRegistry({ ...PACKAGE, tarball: TARBALL }, async ({ scratch }) => {
    const options = { workDirectory: join(scratch, 'work'), packageCache: join(scratch, 'cache') }
    const refuse = (source: string, code: Parameters<typeof rejects>[1]) =>
      rejects(importSource(source, options), code, options.workDirectory, source)
    const absent = await refuse('npm:@acme/absent@1.0.0#a.onnx', 'npm-failed')
    assert.match(absent.message, /404/)
    await refuse('npm:@acme/tiny@1.0.0#models/absent.onnx', 'not-found')
    await refuse('npm:@acme/tiny@1.0.0#models', 'ambiguous-model')
  }))

test('refuses a tarball that is not the promised one', () =>
  withRegistry(
    { ...PACKAGE, tarball: gzipSync(tar([{ path: 'package/a.onnx', content: 'evil' }])), promised: TARBALL },
    async ({ scratch }) => {
      const workDirectory = join(scratch, 'work')
      const error = await rejects(
        importSource('npm:@acme/tiny@1.0.0#a.onnx', { workDirectory }),
        'npm-failed',
        workDirectory,
      )
      assert.match(error.message, /EINTEGRITY|integrity/i)
    },
  ))

test('checks the digest that npm reports itself', () =>
  inScratch(async (scratch) => {
    // An npm that fetches something else than it says.
    const report = {
      name: '@acme/tiny',
      version: '1.0.0',
      filename: 'acme-tiny-1.0.0.tgz',
      integrity: 'sha512-AAAA',
    }
    await write(scratch, {
      'bin/npm': `#!/bin/sh\necho evil > "$6/${report.filename}"\necho '${JSON.stringify([report])}'\n`,
    })
    await chmod(join(scratch, 'bin/npm'), 0o755)
    const path = process.env.PATH
    process.env.PATH = `${join(scratch, 'bin')}${delimiter}${path}`
    try {
      const options = { workDirectory: join(scratch, 'work'), packageCache: join(scratch, 'cache') }
      await rejects(
        importSource('npm:@acme/tiny@1.0.0#a.onnx', options),
        'integrity-mismatch',
        options.workDirectory,
      )
      assert.equal(await readdir(options.packageCache), [])
    } finally {
      process.env.PATH = path
    }
  }))

test.run()

import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { importSource } from '../../../models/source/index.ts'
import { inScratch, rejects, TINY, tar, write } from './scene.ts'

const TARBALL = gzipSync(
  tar([
    { path: 'package/package.json', content: JSON.stringify({ name: '@acme/tiny', version: '1.0.0' }) },
    { path: 'package/models/tiny.onnx', content: TINY },
    { path: 'package/models/other.onnx', content: TINY },
  ]),
)

test('imports a model from an npm package, to the same address as from its files', () =>
  withRegistry(TARBALL, TARBALL, async ({ scratch, fetched }) => {
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
  withRegistry(TARBALL, TARBALL, async ({ scratch }) => {
    const options = { workDirectory: join(scratch, 'work'), packageCache: join(scratch, 'cache') }
    const refuse = (source: string, code: Parameters<typeof rejects>[1]) =>
      rejects(importSource(source, options), code, options.workDirectory, source)
    const absent = await refuse('npm:@acme/absent@1.0.0#a.onnx', 'npm-failed')
    assert.match(absent.message, /404/)
    await refuse('npm:@acme/tiny@1.0.0#models/absent.onnx', 'not-found')
    await refuse('npm:@acme/tiny@1.0.0#models', 'ambiguous-model')
  }))

test('refuses a tarball that is not the promised one', () =>
  withRegistry(TARBALL, gzipSync(tar([{ path: 'package/a.onnx', content: 'evil' }])), async ({ scratch }) => {
    const workDirectory = join(scratch, 'work')
    const error = await rejects(
      importSource('npm:@acme/tiny@1.0.0#a.onnx', { workDirectory }),
      'npm-failed',
      workDirectory,
    )
    assert.match(error.message, /EINTEGRITY|integrity/i)
  }))

/** A registry of one package on loopback, which npm is told to use. It promises `promised` and serves `served`. */
async function withRegistry(
  promised: Buffer,
  served: Buffer,
  act: (scene: { scratch: string; fetched: () => number }) => Promise<void>,
): Promise<void> {
  await inScratch(async (scratch) => {
    let fetched = 0
    const server = createServer((request, response) => {
      if (request.url === '/tiny.tgz') {
        fetched++
        response.end(served)
        return
      }
      if (decodeURIComponent(request.url ?? '') !== '/@acme/tiny') {
        response.writeHead(404).end('{}')
        return
      }
      const dist = {
        tarball: `${registry}/tiny.tgz`,
        integrity: `sha512-${createHash('sha512').update(promised).digest('base64')}`,
      }
      const version = { name: '@acme/tiny', version: '1.0.0', dist }
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({
          name: '@acme/tiny',
          'dist-tags': { latest: '1.0.0' },
          versions: { '1.0.0': version },
        }),
      )
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const kept = { ...process.env }
    // npm reads its settings from the environment in any case, and from files that belong to this machine.
    for (const name of Object.keys(process.env))
      if (/^npm_config_|_proxy$/i.test(name)) delete process.env[name]
    await writeFile(join(scratch, 'npmrc'), '')
    Object.assign(process.env, {
      npm_config_registry: registry,
      npm_config_cache: join(scratch, 'npm-cache'),
      npm_config_userconfig: join(scratch, 'npmrc'),
      npm_config_globalconfig: join(scratch, 'npmrc-global'),
      npm_config_update_notifier: 'false',
      npm_config_fetch_retries: '0',
    })
    try {
      await act({ scratch, fetched: () => fetched })
    } finally {
      process.env = kept
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  })
}

test.run()

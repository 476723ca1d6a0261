import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { inScratch } from './scene.ts'

export interface RegistryPackage {
  readonly name: string
  readonly version: string
  /** What the registry serves. */
  readonly tarball: Buffer
  /** The tarball whose digest it promises; by default the one it serves. */
  readonly promised?: Buffer
}

/** Runs `act` while npm, in this process and its children, is told to use a registry of one package on loopback. */
export async function withRegistry(
  { name, version, tarball, promised = tarball }: RegistryPackage,
  act: (scene: { scratch: string; fetched: () => number }) => Promise<void>,
): Promise<void> {
  await inScratch(async (scratch) => {
    let fetched = 0
    const server = createServer((request, response) => {
      if (request.url === '/tiny.tgz') {
        fetched++
        response.end(tarball)
        return
      }
      if (decodeURIComponent(request.url ?? '') !== `/${name}`) {
        response.writeHead(404).end('{}')
        return
      }
      const dist = {
        tarball: `${registry}/tiny.tgz`,
        integrity: `sha512-${createHash('sha512').update(promised).digest('base64')}`,
      }
      const versions = { [version]: { name, version, dist } }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions }))
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

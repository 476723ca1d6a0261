/**
 * Compiles the house into `dist/`, as it is published: the sources as JavaScript with their types, and beside them
 * whatever they need that is no TypeScript (generated protobuf code, pinned manifests). The demo and the adversary stay
 * behind, unless something else imports them.
 */
import { spawnSync } from 'node:child_process'
import { cp, readdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')
const out = join(root, 'dist')
const rooms = ['models', 'protocols', 'peers', 'src']
/** Documentation and schemas are for readers of the repository; the files at the end run as they are, from `src`. */
const left = [
  /\.md$/,
  /\.proto$/,
  /\.yaml$/,
  /(?<!\.d)\.ts$/,
  /^src\/(demo|adversary|package)\//,
  /^src\/cli\/(launch|preinstall)\.js$/,
]

await rm(out, { recursive: true, force: true })
compile()
for (const room of rooms) await copyAssets(room)

function compile(): void {
  const manifest = createRequire(import.meta.url).resolve('typescript/package.json')
  const tsc = join(dirname(manifest), 'bin', 'tsc')
  const { status, error } = spawnSync(process.execPath, [tsc, '-p', import.meta.dirname], {
    stdio: 'inherit',
    cwd: root,
  })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

async function copyAssets(room: string): Promise<void> {
  const entries = await readdir(join(root, room), { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    if (!entry.isFile() || basename(entry.name).startsWith('.')) continue
    const source = join(entry.parentPath, entry.name)
    const path = source.slice(root.length + 1).replaceAll('\\', '/')
    if (left.some((pattern) => pattern.test(path))) continue
    await cp(source, join(out, path))
  }
}

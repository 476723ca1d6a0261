import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os'
import { promisify } from 'node:util'

/** Without these a figure means nothing. */
export interface MachineFacts {
  readonly cores: number
  readonly cpu: string
  readonly memoryGb: number
  readonly platform: string
  /** Load of the last minute when the bench began: much above zero means that the machine was shared. */
  readonly loadBefore: number
  readonly node: string
  readonly versions: Readonly<Record<string, string>>
  readonly commit: string
  /** Whether the work tree differs from the commit. */
  readonly dirty: boolean
}

const PACKAGES = ['onnxruntime-node', 'libp2p', '@libp2p/noise', '@libp2p/tls', '@libp2p/yamux', 'fastify']

export async function readMachineFacts(): Promise<MachineFacts> {
  const versions: Record<string, string> = {}
  for (const name of PACKAGES) {
    const path = new URL(`../node_modules/${name}/package.json`, import.meta.url)
    const { version } = JSON.parse(await readFile(path, 'utf8')) as { version: string }
    versions[name] = version
  }
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    platform: `${platform()} ${arch()}`,
    loadBefore: loadavg()[0] ?? 0,
    node: process.version,
    versions: { ...versions, undici: process.versions.undici ?? 'none' },
    commit: (await git('rev-parse', '--short=12', 'HEAD')) || 'unknown',
    dirty: (await git('status', '--porcelain', '--untracked-files=no')) !== '',
  }
}

/** Empty where there is no git or no repository: a tarball can be measured too. */
async function git(...args: string[]): Promise<string> {
  try {
    return (await promisify(execFile)('git', args, { cwd: import.meta.dirname })).stdout.trim()
  } catch {
    return ''
  }
}

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { isModelPath } from '../manifest/index.ts'
import { type ArchiveEntry, readArchive } from './archive.ts'
import { NPM_OUTPUT_BYTES_MAX } from './constants.ts'
import { SourceError } from './errors.ts'

export interface PackageName {
  readonly name: string
  /** Exact. */
  readonly version: string
}

/**
 * Unpacks a package into the existing folder `into`. npm fetches it, so that the person's own registries, credentials
 * and proxies apply; no script of the package runs. The tarball must have the digest that npm reports, and is kept in
 * `cache`, if given, under that digest's guard. Rejects with SourceError or the signal's reason.
 */
export async function fetchPackage(
  wanted: PackageName,
  options: {
    readonly into: string
    readonly cache?: string | undefined
    readonly signal?: AbortSignal | undefined
  },
): Promise<void> {
  const { cache, signal } = options
  const key = createHash('sha256').update(`${wanted.name}@${wanted.version}`).digest('hex').slice(0, 32)
  const kept = cache === undefined ? undefined : join(cache, `${key}.tgz`)
  if (kept !== undefined && (await isIntact(kept, signal))) return await unpack(kept, options.into, signal)

  const place = cache ?? options.into
  await mkdir(place, { recursive: true })
  const download = await mkdtemp(join(place, '.download-'))
  try {
    const { tarball, integrity } = await npmPack(wanted, download, signal)
    const digest = await integrityOf(tarball, signal)
    if (digest !== integrity) {
      throw new SourceError(
        'integrity-mismatch',
        `the tarball of ${wanted.name}@${wanted.version} is not the one that npm promised: expected ${integrity}, got ${digest}`,
      )
    }
    if (kept !== undefined) {
      // First the tarball: without its digest beside it, it is not used.
      await rename(tarball, kept)
      await writeFile(`${kept}.integrity`, integrity)
    }
    await unpack(kept ?? tarball, options.into, signal)
  } finally {
    await rm(download, { recursive: true, force: true })
  }
}

/** What `npm pack --json` says of each package, as far as it is read here. */
interface PackReport {
  readonly name?: unknown
  readonly version?: unknown
  readonly filename?: unknown
  readonly integrity?: unknown
}

async function npmPack(
  { name, version }: PackageName,
  into: string,
  signal: AbortSignal | undefined,
): Promise<{ tarball: string; integrity: string }> {
  const args = ['pack', `${name}@${version}`, '--json', '--ignore-scripts', '--pack-destination', into]
  const output = await runNpm(args, signal)
  let reports: unknown
  try {
    reports = JSON.parse(output)
  } catch (cause) {
    throw new SourceError(
      'npm-failed',
      'npm pack printed something other than JSON; is npm 9 or later in use?',
      { cause },
    )
  }
  const report = ((Array.isArray(reports) ? reports[0] : undefined) ?? {}) as PackReport
  if (report.name !== name || report.version !== version) {
    throw new SourceError('npm-failed', `npm pack fetched ${report.name}@${report.version} instead`)
  }
  const { filename, integrity } = report
  if (typeof filename !== 'string' || typeof integrity !== 'string' || !integrity.startsWith('sha512-')) {
    throw new SourceError(
      'npm-failed',
      'npm pack reported no file name or SHA-512; is npm 9 or later in use?',
    )
  }
  // Some versions of npm report a scoped package's file as `@scope/name-1.2.3.tgz` but write it flat.
  return { tarball: join(into, basename(filename.replace(/^@([^/]+)\//, '$1-'))), integrity }
}

function runNpm(args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  // npm is a .cmd file on Windows, which only a shell starts; the arguments hold nothing that a shell would read.
  const child = spawn('npm', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
    ...(signal === undefined ? {} : { signal }),
  })
  let output = ''
  let complaint = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.length > NPM_OUTPUT_BYTES_MAX) child.kill()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-4096)
  })
  child.once('error', (cause) => {
    if (signal?.aborted === true) reject(signal.reason)
    else
      reject(
        new SourceError('npm-failed', 'npm could not be started; it must be installed to use npm: sources', {
          cause,
        }),
      )
  })
  child.once('close', (code) => {
    if (code === 0) return resolve(output)
    const why = npmComplaint(complaint) || `it ended with ${code ?? 'a signal'}${lastLine(complaint)}`
    reject(
      new SourceError(
        /ENOSPC/.test(complaint) ? 'disk-full' : 'npm-failed',
        `npm ${args[0]} ${args[1]} failed: ${why}`,
      ),
    )
  })
  return promise
}

/** What npm printed last, for what it does not mark as an error. */
function lastLine(text: string): string {
  const line = text.trimEnd().split('\n').at(-1)?.trim() ?? ''
  return line === '' ? '' : `; the last that it said: ${line.slice(0, 300)}`
}

/** The lines in which npm says what is wrong, without its advice on log files. */
function npmComplaint(text: string): string {
  return text
    .split('\n')
    .filter((line) => line.startsWith('npm error') && !line.includes('complete log'))
    .map((line) => line.slice('npm error'.length).trim())
    .filter((line) => line !== '')
    .slice(0, 4)
    .join('; ')
}

async function isIntact(tarball: string, signal: AbortSignal | undefined): Promise<boolean> {
  const [integrity, status] = await Promise.all([
    readFile(`${tarball}.integrity`, 'utf8').catch(ignoreMissing),
    stat(tarball).catch(ignoreMissing),
  ])
  if (integrity === undefined || status === undefined) return false
  return (await integrityOf(tarball, signal)) === integrity
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
  return undefined
}

/** Subresource integrity of a file, as npm writes it. */
async function integrityOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha512')
  for await (const piece of createReadStream(path, { signal })) hash.update(piece)
  return `sha512-${hash.digest('base64')}`
}

async function unpack(tarball: string, into: string, signal: AbortSignal | undefined): Promise<void> {
  const unzipped = createGunzip()
  const fed = pipeline(createReadStream(tarball), unzipped, signal === undefined ? {} : { signal })
  // The loop below sees the same error; and it may stop at the archive's end, which cuts this pipeline short.
  fed.catch(() => undefined)
  try {
    for await (const entry of readArchive(unzipped)) await unpackEntry(entry, into, signal)
  } catch (cause) {
    if (signal?.aborted === true) throw signal.reason
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    if (!code.startsWith('Z_')) throw cause
    throw new SourceError(
      'malformed-archive',
      `the package is no intact gzip file: ${(cause as Error).message}`,
      { cause },
    )
  } finally {
    unzipped.destroy()
  }
}

async function unpackEntry(
  entry: ArchiveEntry,
  into: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  // Hidden files and names that no model can hold are no use to anyone here.
  if (!isModelPath(entry.path)) return
  const target = join(into, entry.path)
  await mkdir(dirname(target), { recursive: true })
  const options = signal === undefined ? {} : { signal }
  await pipeline(
    Readable.from(entry.content, { objectMode: true }),
    createWriteStream(target, { flags: 'wx' }),
    options,
  )
}

/**
 * A strict reader of npm's tarballs, once uncompressed: POSIX ustar with pax extended headers. Only files and
 * directories; links, devices, sparse files and GNU extensions are refused, as are paths that climb.
 * https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
 */
import { ARCHIVE_HEADER_BYTES_MAX, PACKAGE_BYTES_MAX, PACKAGE_ENTRIES_MAX } from './constants.ts'
import { SourceError } from './errors.ts'

export interface ArchiveEntry {
  /** Relative and normalized, without the archive's top folder (npm's is `package/`). */
  readonly path: string
  readonly bytes: number
  /** The file's bytes. To be read before the next entry is asked for, or not at all. */
  readonly content: AsyncIterable<Uint8Array>
}

const BLOCK = 512

/** Reads the files of a tar archive, one at a time. Throws `malformed-archive`, `unsupported-file` or `too-large`. */
export async function* readArchive(source: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveEntry> {
  const reader = createReader(source)
  const seen = new Set<string>()
  let total = 0
  let extended = new Map<string, string>()
  for (let entries = 0; ; ) {
    const header = await reader.take(BLOCK)
    if (header.every((byte) => byte === 0)) return
    if (++entries > PACKAGE_ENTRIES_MAX) tooLarge(`more than ${PACKAGE_ENTRIES_MAX} entries`)
    verifyChecksum(header)
    const bytes = entryBytes(header, extended)
    const type = String.fromCharCode(header[156] ?? 0)
    if (type === 'x' || type === 'g') {
      if (bytes > ARCHIVE_HEADER_BYTES_MAX) malformed('an extended header is too long')
      const fields = parseExtended(await reader.take(bytes))
      await reader.skip(padding(bytes))
      // A global header, which git writes for its commit, speaks of no file.
      if (type === 'x') extended = fields
      continue
    }
    const path = entryPath(header, extended)
    extended = new Map()
    if (type === '5') {
      await reader.skip(bytes + padding(bytes))
      continue
    }
    if (type !== '0' && type !== '\0') {
      throw new SourceError(
        'unsupported-file',
        `the package holds "${path}", which is a link or no plain file`,
      )
    }
    if (path === '') malformed('it holds a file outside its top folder')
    total += bytes
    if (total > PACKAGE_BYTES_MAX) tooLarge(`more than ${PACKAGE_BYTES_MAX} bytes`)
    if (seen.has(path)) malformed(`it holds "${path}" twice`)
    seen.add(path)
    let left = bytes
    const content = async function* (): AsyncGenerator<Uint8Array> {
      while (left > 0) {
        const piece = await reader.some(left)
        left -= piece.byteLength
        yield piece
      }
    }
    yield { path, bytes, content: content() }
    await reader.skip(left + padding(bytes))
  }
}

interface Reader {
  /** Exactly `bytes` bytes. */
  take(bytes: number): Promise<Uint8Array>
  /** From 1 to `bytesMax` bytes, as they come. */
  some(bytesMax: number): Promise<Uint8Array>
  skip(bytes: number): Promise<void>
}

function createReader(source: AsyncIterable<Uint8Array>): Reader {
  const iterator = source[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array()
  const some = async (bytesMax: number): Promise<Uint8Array> => {
    while (rest.byteLength === 0) {
      const next = await iterator.next()
      if (next.done === true) malformed('it is cut short')
      rest = next.value
    }
    const piece = rest.subarray(0, bytesMax)
    rest = rest.subarray(piece.byteLength)
    return piece
  }
  return {
    some,
    async take(bytes) {
      const out = new Uint8Array(bytes)
      for (let at = 0; at < bytes; ) {
        const piece = await some(bytes - at)
        out.set(piece, at)
        at += piece.byteLength
      }
      return out
    },
    async skip(bytes) {
      for (let left = bytes; left > 0; ) left -= (await some(left)).byteLength
    },
  }
}

function verifyChecksum(header: Uint8Array): void {
  const stated = octal(header, 148, 8, 'checksum')
  // The checksum's own field counts as spaces.
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0)
  if (sum !== stated) malformed('a header has the wrong checksum')
}

function entryBytes(header: Uint8Array, extended: ReadonlyMap<string, string>): number {
  const size = extended.get('size')
  const bytes = size === undefined ? octal(header, 124, 12, 'size') : Number(size)
  if (!Number.isSafeInteger(bytes) || bytes < 0) malformed('a file has no readable size')
  return bytes
}

function entryPath(header: Uint8Array, extended: ReadonlyMap<string, string>): string {
  if (text(header, 257, 5) !== 'ustar') malformed('it is no ustar archive')
  const prefix = text(header, 345, 155)
  const name = text(header, 0, 100)
  const whole = extended.get('path') ?? (prefix === '' ? name : `${prefix}/${name}`)
  const parts = whole.replace(/\/$/, '').split('/')
  if (
    whole.includes('\\') ||
    whole.includes('\0') ||
    parts.some((part) => part === '' || part === '.' || part === '..')
  ) {
    malformed(`it holds a path that climbs or hides: ${JSON.stringify(whole)}`)
  }
  return parts.slice(1).join('/')
}

/** Records of the form `LENGTH KEY=VALUE\n`, where LENGTH counts the record's own bytes. */
function parseExtended(bytes: Uint8Array): Map<string, string> {
  const fields = new Map<string, string>()
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < buffer.length; ) {
    const space = buffer.indexOf(0x20, at)
    const length = space === -1 ? Number.NaN : Number(buffer.toString('latin1', at, space))
    const record = buffer.toString('utf8', space + 1, at + length)
    const equals = record.indexOf('=')
    if (
      !Number.isSafeInteger(length) ||
      at + length > buffer.length ||
      equals < 1 ||
      !record.endsWith('\n')
    ) {
      malformed('an extended header cannot be read')
    }
    fields.set(record.slice(0, equals), record.slice(equals + 1, -1))
    at += length
  }
  return fields
}

function octal(header: Uint8Array, at: number, length: number, what: string): number {
  const digits = text(header, at, length).trim()
  if (!/^[0-7]+$/.test(digits)) malformed(`a header has no readable ${what}`)
  return Number.parseInt(digits, 8)
}

function text(header: Uint8Array, at: number, length: number): string {
  const field = Buffer.from(header.subarray(at, at + length))
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? length : end)
}

function padding(bytes: number): number {
  return (BLOCK - (bytes % BLOCK)) % BLOCK
}

function malformed(why: string): never {
  throw new SourceError('malformed-archive', `the package's archive is not usable: ${why}`)
}

function tooLarge(what: string): never {
  throw new SourceError('too-large', `the package unpacks to ${what}`)
}

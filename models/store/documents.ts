/** The two small documents that a store keeps beside the models. They are its own, but disks fail and people edit. */
import { StoreError } from './errors.ts'

/** Names and the addresses they stand for, as JSON sorted by name. */
export function encodeNames(names: ReadonlyMap<string, string>): Uint8Array {
  const entries = [...names].sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.from(`${JSON.stringify(entries, null, 2)}\n`)
}

/** Throws `corrupt-store`. */
export function decodeNames(bytes: Uint8Array, path: string): Map<string, string> {
  const pairs = parsePairs(bytes)
  if (pairs === undefined) {
    throw new StoreError(
      'corrupt-store',
      `${path} cannot be read. Delete it: models keep the names in their manifests`,
    )
  }
  return new Map(pairs)
}

/** Blocks of directories by path, as JSON with base64. */
export function encodeDirectories(directories: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const entries = [...directories].map(([path, block]) => [path, Buffer.from(block).toString('base64')])
  return Buffer.from(JSON.stringify(entries))
}

/** Undefined where it cannot be read. The blocks are verified by whoever uses them. */
export function decodeDirectories(bytes: Uint8Array): Map<string, Uint8Array> | undefined {
  const pairs = parsePairs(bytes)
  return pairs && new Map(pairs.map(([path, block]) => [path, Buffer.from(block, 'base64')]))
}

function parsePairs(bytes: Uint8Array): [string, string][] | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  if (!Array.isArray(value)) return undefined
  const isPair = (entry: unknown): entry is [string, string] =>
    Array.isArray(entry) && entry.length === 2 && entry.every((part) => typeof part === 'string')
  return value.every(isPair) ? value : undefined
}

import type { WritableStorage } from 'ipfs-unixfs-importer'
import { CID } from 'multiformats/cid'
import { isModelPath, MANIFEST_FILE } from '../manifest/index.ts'
import { AddressError } from './errors.ts'

export interface DirectoryFile {
  /** Relative, `/` between its parts. */
  readonly path: string
  readonly content: Uint8Array | AsyncIterable<Uint8Array>
}

export interface DirectoryAddress {
  /** The model's address, in base32. */
  readonly cid: string
  /** The block of every directory by its path; that of the root is ''. */
  readonly directories: ReadonlyMap<string, Uint8Array>
}

/**
 * The address of a model directory: its UnixFS CID under the profile `unixfs-v1-2025` (IPIP-499: CID version 1, raw
 * leaves, chunks of 1 MiB, 1024 links a node), which any IPFS node computes alike. Depends on paths and bytes alone,
 * not on the order of `files`. Reads one chunk at a time and hashes it between two reads. Rejects with AddressError,
 * with what `files` throw, or with the signal's reason.
 */
export async function addressDirectory(
  files: Iterable<DirectoryFile> | AsyncIterable<DirectoryFile>,
  signal?: AbortSignal,
): Promise<DirectoryAddress> {
  const nodes = new Map<string, Uint8Array>()
  const storage: WritableStorage = {
    put(cid, block) {
      signal?.throwIfAborted()
      // Leaves are the files themselves; only the nodes above them are new bytes.
      if (cid.code === DAG_PB && block instanceof Uint8Array) nodes.set(cid.toString(), block)
      return cid
    },
  }
  const directories = new Map<string, Uint8Array>()
  let root: string | undefined
  // Loaded when an address is computed: most of what is done with models only compares them.
  const { importer } = await import('ipfs-unixfs-importer')
  const entries = importer(candidates(files, signal), storage, {
    profile: 'unixfs-v1-2025',
    wrapWithDirectory: true,
    // One file and one chunk at a time: weights may be gigabytes, and memory is better spent on running them.
    fileImportConcurrency: 1,
    blockWriteConcurrency: 1,
  })
  for await (const { cid, path = '', unixfs } of entries) {
    if (unixfs?.type === 'hamt-sharded-directory') {
      throw new AddressError('too-many-files', `the directory "${path}" has too many files for one block`)
    }
    if (unixfs?.type !== 'directory') continue
    const address = cid.toString()
    const block = nodes.get(address)
    if (block !== undefined) directories.set(path, block)
    if (path === '') root = address
  }
  if (root === undefined) throw new Error('ipfs-unixfs-importer ended without a root directory')
  return { cid: root, directories }
}

/** Whether `text` has the form of a model's address. */
export function isAddress(text: string): boolean {
  try {
    parseAddress(text)
    return true
  } catch (error) {
    if (error instanceof AddressError) return false
    throw error
  }
}

/** The SHA-256 digest, in hex, that an address stands for. Throws `malformed-address`. */
export function parseAddress(text: string): string {
  let cid: CID
  try {
    cid = CID.parse(text)
  } catch (cause) {
    throw new AddressError('malformed-address', `"${text.slice(0, 80)}" is no CID`, { cause })
  }
  // One address has one text, so that it can be a key.
  if (
    cid.version !== 1 ||
    cid.code !== DAG_PB ||
    cid.multihash.code !== SHA2_256 ||
    cid.toString() !== text
  ) {
    throw new AddressError(
      'malformed-address',
      `"${text}" is not the base32 CID of a directory, version 1, SHA-256`,
    )
  }
  return Buffer.from(cid.multihash.digest).toString('hex')
}

/** Multicodec numbers. https://github.com/multiformats/multicodec/blob/master/table.csv */
export const DAG_PB = 0x70
export const RAW = 0x55
export const SHA2_256 = 0x12

async function* candidates(
  files: Iterable<DirectoryFile> | AsyncIterable<DirectoryFile>,
  signal: AbortSignal | undefined,
): AsyncGenerator<DirectoryFile> {
  const seen = new Set<string>()
  for await (const file of files) {
    signal?.throwIfAborted()
    if (!isModelPath(file.path) && file.path !== MANIFEST_FILE) {
      throw new AddressError('bad-path', `"${file.path}" cannot be a file of a model directory`)
    }
    if (seen.has(file.path)) throw new AddressError('bad-path', `"${file.path}" is given twice`)
    seen.add(file.path)
    yield file
  }
}

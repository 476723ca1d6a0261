import { createHash } from 'node:crypto'
import { decode, type PBLink } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { DAG_PB, parseAddress, RAW, SHA2_256 } from './address.ts'
import { DIRECTORY_BLOCKS_BYTES_MAX, DIRECTORY_BLOCKS_MAX } from './constants.ts'
import { AddressError } from './errors.ts'

/**
 * Takes small files out of blocks that a stranger sent, by nothing but the directory's address: `blocks` are
 * directories and whole files, in any order. Every block must be one that the address leads to, once; all of `paths`
 * must be there. A file needs one block, since chunks are as large as all the blocks together may be. The result looks
 * into `blocks`. Throws AddressError.
 */
export function verifyDirectoryBlocks(
  cid: string,
  blocks: readonly Uint8Array[],
  paths: readonly string[],
): Map<string, Uint8Array> {
  const rootDigest = parseAddress(cid)
  const byDigest = indexBlocks(blocks)
  const directories = readDirectories(rootDigest, byDigest)
  return new Map(paths.map((path) => [path, readFile(path, rootDigest, directories, byDigest)]))
}

type Directory = ReadonlyMap<
  string,
  { readonly codec: number; readonly digest: string; readonly bytes: number }
>

function indexBlocks(blocks: readonly Uint8Array[]): Map<string, Uint8Array> {
  if (blocks.length > DIRECTORY_BLOCKS_MAX) tooLarge(`${blocks.length} blocks`)
  let total = 0
  for (const { byteLength } of blocks) total += byteLength
  if (total > DIRECTORY_BLOCKS_BYTES_MAX) tooLarge(`${total} bytes`)
  const byDigest = new Map<string, Uint8Array>()
  for (const block of blocks) {
    const digest = createHash('sha256').update(block).digest('hex')
    if (byDigest.has(digest)) throw new AddressError('wrong-block', 'a block was sent twice')
    byDigest.set(digest, block)
  }
  return byDigest
}

/** Decodes every directory that can be reached and that is at hand; refuses blocks that nothing leads to. */
function readDirectories(
  rootDigest: string,
  byDigest: ReadonlyMap<string, Uint8Array>,
): Map<string, Directory> {
  const directories = new Map<string, Directory>()
  const reached = new Set<string>([rootDigest])
  const waiting = [rootDigest]
  for (let digest = waiting.pop(); digest !== undefined; digest = waiting.pop()) {
    const block = byDigest.get(digest)
    if (block === undefined || directories.has(digest)) continue
    const directory = readDirectory(block)
    directories.set(digest, directory)
    for (const entry of directory.values()) {
      reached.add(entry.digest)
      // What a dag-pb block that is no directory holds, a large file's list of chunks, leads to nothing wanted.
      if (entry.codec === DAG_PB) waiting.push(entry.digest)
    }
  }
  for (const digest of byDigest.keys()) {
    if (!reached.has(digest)) throw new AddressError('wrong-block', 'a block is not part of the model')
  }
  return directories
}

function readDirectory(block: Uint8Array): Directory {
  let links: readonly PBLink[]
  let type: string
  try {
    const node = decode(block)
    links = node.Links
    type = UnixFS.unmarshal(node.Data ?? new Uint8Array()).type
  } catch (cause) {
    throw new AddressError('malformed-block', 'a block of the model is no UnixFS directory', { cause })
  }
  if (type !== 'directory') throw new AddressError('malformed-block', `a block of the model is a ${type}`)
  const entries = new Map<string, { codec: number; digest: string; bytes: number }>()
  for (const { Name: name = '', Hash: hash, Tsize: bytes = 0 } of links) {
    if (entries.has(name)) throw new AddressError('malformed-block', `a directory holds "${name}" twice`)
    if (hash.multihash.code !== SHA2_256) {
      throw new AddressError('malformed-block', `"${name}" is not addressed by SHA-256`)
    }
    entries.set(name, { codec: hash.code, digest: Buffer.from(hash.multihash.digest).toString('hex'), bytes })
  }
  return entries
}

function readFile(
  path: string,
  rootDigest: string,
  directories: ReadonlyMap<string, Directory>,
  byDigest: ReadonlyMap<string, Uint8Array>,
): Uint8Array {
  let digest = rootDigest
  let codec = DAG_PB
  let bytes = 0
  for (const part of path.split('/')) {
    const directory = codec === DAG_PB ? directories.get(digest) : undefined
    if (directory === undefined) missing(path)
    const entry = directory.get(part)
    if (entry === undefined) throw new AddressError('missing-block', `the model has no file "${path}"`)
    ;({ digest, codec, bytes } = entry)
  }
  if (codec === DAG_PB && bytes > DIRECTORY_BLOCKS_BYTES_MAX) tooLarge(`"${path}" with ${bytes} bytes`)
  if (codec !== RAW) throw new AddressError('malformed-block', `"${path}" is no file of one block`)
  return byDigest.get(digest) ?? missing(path)
}

function missing(path: string): never {
  throw new AddressError('missing-block', `a block of "${path}" is missing`)
}

function tooLarge(what: string): never {
  throw new AddressError(
    'too-large',
    `${what}: a model's manifest and task files travel in ${DIRECTORY_BLOCKS_MAX} blocks and ${DIRECTORY_BLOCKS_BYTES_MAX} bytes at most`,
  )
}

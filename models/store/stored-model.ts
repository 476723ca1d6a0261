import { AddressError, DIRECTORY_BLOCKS_BYTES_MAX, verifyDirectoryBlocks } from '../address/index.ts'
import { decodeManifest, MANIFEST_FILE, type Manifest, ManifestError } from '../manifest/index.ts'
import { StoreError } from './errors.ts'
import type { StoredModel } from './store.ts'

/** What a store knows of a model beside its files. */
export interface Holding {
  readonly cid: string
  readonly name: string
  readonly manifest: Manifest
  readonly directory: string
  readonly modelPath: string
  readonly directories: ReadonlyMap<string, Uint8Array>
  /** Reads one file of the model, whose size in bytes the manifest says. */
  readonly read: (path: string) => Promise<Uint8Array>
}

export function createStoredModel(holding: Holding): StoredModel {
  const { cid, name, manifest, directory, modelPath } = holding
  return { cid, name, manifest, directory, modelPath, blocks: (paths) => collectBlocks(holding, paths) }
}

/** The blocks of a model's manifest and task files. */
export function readTaskBlocks(model: StoredModel): Promise<Uint8Array[]> {
  return model.blocks([MANIFEST_FILE, ...(model.manifest.task?.files ?? [])])
}

/** The manifest that an address stands for, from its bytes and the directory's block. Throws `corrupt-store`. */
export function verifiedManifest(cid: string, root: Uint8Array, bytes: Uint8Array): Manifest {
  try {
    verifyDirectoryBlocks(cid, [root, bytes], [MANIFEST_FILE])
    return decodeManifest(bytes)
  } catch (cause) {
    if (!(cause instanceof AddressError) && !(cause instanceof ManifestError)) throw cause
    throw corrupt(cid, MANIFEST_FILE, cause)
  }
}

export function corrupt(cid: string, file: string, cause?: unknown): StoreError {
  return new StoreError(
    'corrupt-store',
    `the stored model ${cid} is damaged: "${file}" is not what the address says. Remove the model and add it again`,
    { cause },
  )
}

async function collectBlocks(holding: Holding, paths: readonly string[]): Promise<Uint8Array[]> {
  const { cid, manifest, directories, read } = holding
  const files = new Map(manifest.files.map((file) => [file.path, file]))
  let total = 0
  const wanted = new Map<string, string>()
  for (const path of paths) {
    total += files.get(path)?.bytes ?? 0
    // Two files of equal content are one block.
    wanted.set(files.get(path)?.sha256 ?? path, path)
  }
  if (total > DIRECTORY_BLOCKS_BYTES_MAX) tooLarge(total)

  const blocks: Uint8Array[] = []
  for (const path of foldersAbove(paths)) {
    const block = directories.get(path)
    // Equal directories are one block too.
    if (block !== undefined && !blocks.some((other) => Buffer.compare(other, block) === 0)) blocks.push(block)
  }
  for (const path of wanted.values()) {
    try {
      blocks.push(await read(path))
    } catch (cause) {
      throw corrupt(cid, path, cause)
    }
  }
  total = blocks.reduce((sum, { byteLength }) => sum + byteLength, 0)
  if (total > DIRECTORY_BLOCKS_BYTES_MAX) tooLarge(total)
  try {
    verifyDirectoryBlocks(cid, blocks, paths)
  } catch (cause) {
    throw corrupt(cid, paths.join(', '), cause)
  }
  return blocks
}

function foldersAbove(paths: readonly string[]): Set<string> {
  const folders = new Set([''])
  for (const path of paths) {
    const parts = path.split('/')
    for (let length = 1; length < parts.length; length++) folders.add(parts.slice(0, length).join('/'))
  }
  return folders
}

function tooLarge(bytes: number): never {
  throw new StoreError(
    'too-large',
    `the files asked for have ${bytes} bytes; ${DIRECTORY_BLOCKS_BYTES_MAX} may travel`,
  )
}

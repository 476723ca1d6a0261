/**
 * Models on the disk of a data directory:
 *
 *     models/CID/...              exactly the model directory, so that its address can be recomputed by any IPFS tool
 *     models/.directories/CID     the UnixFS blocks of its directories, which are not among its files
 *     models/.names.json          what this machine calls them
 *     models/.work/               copies in progress
 *
 * Everything appears by one rename, and several processes may use one store: at worst one of them has to `refresh`.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { addressDirectory, isAddress } from '../address/index.ts'
import { MANIFEST_BYTES_MAX, MANIFEST_FILE, type ManifestFile } from '../manifest/index.ts'
import { MODELS_MAX, NAMES_BYTES_MAX } from './constants.ts'
import { decodeDirectories, decodeNames, encodeDirectories, encodeNames } from './documents.ts'
import { readIfPresent, renameDurably, syncFolder, writeAtomically } from './durable.ts'
import { asStoreError, StoreError } from './errors.ts'
import { compareModels } from './memory-store.ts'
import type { ModelStore, StoredModel } from './store.ts'
import { corrupt, createStoredModel, readTaskBlocks, verifiedManifest } from './stored-model.ts'

/**
 * Opens the store inside `dataDirectory`, which is made if need be. A model whose manifest is damaged is not listed;
 * `verify` says what is wrong with it, and adding it again mends it. Rejects with StoreError.
 */
export async function openModelStore(dataDirectory: string): Promise<ModelStore> {
  const root = join(dataDirectory, 'models')
  const places: Places = {
    root,
    workDirectory: join(root, '.work'),
    directories: join(root, '.directories'),
    names: join(root, '.names.json'),
  }
  await mkdir(places.workDirectory, { recursive: true, mode: 0o700 })
  await mkdir(places.directories, { recursive: true })
  await sweep(places.workDirectory)
  const store = createDiskStore(places)
  await store.refresh()
  return store
}

interface Places {
  readonly root: string
  readonly workDirectory: string
  readonly directories: string
  readonly names: string
}

function createDiskStore(places: Places): ModelStore {
  const { root, workDirectory } = places
  let models = new Map<string, StoredModel>()
  let damaged = new Map<string, StoreError>()
  let names = new Map<string, string>()
  /** Task blocks are asked for by strangers, often: read and verified once. */
  const taskBlocks = new WeakMap<StoredModel, Promise<readonly Uint8Array[]>>()

  const get = (cid: string): StoredModel | undefined => models.get(cid)

  async function refresh(): Promise<void> {
    const document = await readIfPresent(places.names)
    names = document === undefined ? new Map() : decodeNames(document, places.names)
    const nameOf = new Map([...names].map(([name, cid]) => [cid, name]))
    const found = (await readdir(root)).filter(isAddress).sort().slice(0, MODELS_MAX)
    const nextModels = new Map<string, StoredModel>()
    const nextDamaged = new Map<string, StoreError>()
    for (const cid of found) {
      try {
        const model = await openModel(places, cid, nameOf.get(cid))
        const known = models.get(cid)
        // The same object while nothing changed, so that what hangs on it stays.
        nextModels.set(cid, known?.name === model.name ? known : model)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        nextDamaged.set(cid, error)
      }
    }
    models = nextModels
    damaged = nextDamaged
  }

  async function name(cid: string, wanted: string | undefined): Promise<void> {
    // Another process may have named something meanwhile.
    const document = await readIfPresent(places.names)
    const next = document === undefined ? new Map<string, string>() : decodeNames(document, places.names)
    for (const [given, named] of next) if (named === cid) next.delete(given)
    if (wanted !== undefined) next.set(wanted, cid)
    const bytes = encodeNames(next)
    if (bytes.byteLength > NAMES_BYTES_MAX)
      throw new StoreError('too-large', 'the store holds too many names')
    await writeAtomically(places.names, bytes, workDirectory)
  }

  return {
    workDirectory,
    get,
    refresh,
    list: () => [...models.values()].sort(compareModels),
    resolve(nameOrCid) {
      const named = get(nameOrCid) ?? get(names.get(nameOrCid) ?? '')
      return (
        named ?? [...models.values()].sort(compareModels).find(({ manifest }) => manifest.name === nameOrCid)
      )
    },
    async add({ cid, directory, directories, name: wanted }) {
      const target = join(root, cid)
      try {
        await writeAtomically(join(places.directories, cid), encodeDirectories(directories), workDirectory)
        for (const path of directories.keys()) await syncFolder(join(directory, path))
        await takeDirectory(directory, target, workDirectory, damaged.has(cid))
        await name(cid, wanted)
      } catch (cause) {
        throw asStoreError(cause, target)
      }
      await refresh()
      const model = get(cid)
      if (model === undefined) throw damaged.get(cid) ?? corrupt(cid, MANIFEST_FILE)
      return model
    },
    async remove(cid) {
      if (!models.has(cid) && !damaged.has(cid)) return false
      await name(cid, undefined)
      await discard(join(root, cid), workDirectory)
      await rm(join(places.directories, cid), { force: true })
      await refresh()
      return true
    },
    async verify(cid, signal) {
      const fault = damaged.get(cid)
      if (fault !== undefined) throw fault
      const model = get(cid)
      if (model === undefined) throw new StoreError('unknown-model', `no model ${cid} in ${root}`)
      await verifyModel(model, signal)
    },
    taskBlocks(model) {
      const known = taskBlocks.get(model)
      if (known !== undefined) return known
      const blocks = readTaskBlocks(model)
      taskBlocks.set(model, blocks)
      // A failure is told, and tried again next time.
      blocks.catch(() => taskBlocks.delete(model))
      return blocks
    },
  }
}

async function openModel(places: Places, cid: string, name: string | undefined): Promise<StoredModel> {
  const directory = join(places.root, cid)
  const read = (path: string): Promise<Uint8Array> => readFile(join(directory, path))
  const status = await lstat(join(directory, MANIFEST_FILE)).catch(() => undefined)
  const document = await readIfPresent(join(places.directories, cid))
  if (status === undefined || !status.isFile() || status.size > MANIFEST_BYTES_MAX)
    throw corrupt(cid, MANIFEST_FILE)
  const directories = document === undefined ? undefined : decodeDirectories(document)
  const root = directories?.get('')
  if (directories === undefined || root === undefined) throw corrupt(cid, `.directories/${cid}`)
  const manifest = verifiedManifest(cid, root, await read(MANIFEST_FILE))
  const modelPath = join(directory, manifest.model)
  return createStoredModel({
    cid,
    name: name ?? manifest.name,
    manifest,
    directory,
    modelPath,
    directories,
    read,
  })
}

async function verifyModel(
  { cid, directory, manifest }: StoredModel,
  signal: AbortSignal | undefined,
): Promise<void> {
  const content = (path: string): AsyncIterable<Uint8Array> => createReadStream(join(directory, path))
  const files = function* () {
    for (const { path } of manifest.files) yield { path, content: content(path) }
    yield { path: MANIFEST_FILE, content: content(MANIFEST_FILE) }
  }
  let address: string | undefined
  try {
    address = (await addressDirectory(files(), signal)).cid
  } catch (cause) {
    signal?.throwIfAborted()
    const path =
      cause instanceof Error && 'path' in cause ? String(cause.path).slice(directory.length + 1) : directory
    throw corrupt(cid, path, cause)
  }
  if (address === cid) return
  for (const file of manifest.files)
    if (!(await isIntact(file, content(file.path)))) throw corrupt(cid, file.path)
  throw corrupt(cid, MANIFEST_FILE)
}

async function isIntact({ sha256 }: ManifestFile, content: AsyncIterable<Uint8Array>): Promise<boolean> {
  const hash = createHash('sha256')
  for await (const piece of content) hash.update(piece)
  return hash.digest('hex') === sha256
}

/** Moves an imported directory to its place; what is there already stays, unless it is damaged. */
async function takeDirectory(
  from: string,
  to: string,
  workDirectory: string,
  replace: boolean,
): Promise<void> {
  if (replace) await discard(to, workDirectory)
  try {
    await renameDurably(from, to)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    // Windows says EPERM where others say that the target is there.
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && !(code === 'EPERM' && process.platform === 'win32'))
      throw error
    await rm(from, { recursive: true, force: true })
  }
}

/** Takes a directory out of sight in one step, then removes it. */
async function discard(path: string, workDirectory: string): Promise<void> {
  const away = join(workDirectory, `.discard-${process.pid}-${process.hrtime.bigint()}`)
  await rename(path, away)
  await rm(away, { recursive: true, force: true })
}

/** Removes what processes left that are no more. Work in progress names its process: `.import-PID-...`. */
async function sweep(workDirectory: string): Promise<void> {
  for (const entry of await readdir(workDirectory)) {
    const pid = Number(/^\.[a-z]+-(\d+)-/.exec(entry)?.[1] ?? Number.NaN)
    if (!Number.isSafeInteger(pid) || isAlive(pid)) continue
    await rm(join(workDirectory, entry), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it lives, but belongs to somebody else.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { addressDirectory } from '../address/index.ts'
import { comparePaths, encodeManifest, isModelPath, MANIFEST_FILE, type Manifest } from '../manifest/index.ts'
import { StoreError } from './errors.ts'
import type { ModelStore, StoredModel } from './store.ts'
import { createStoredModel, readTaskBlocks } from './stored-model.ts'

/** A store whose models live in memory, for tests. Their `modelPath` names nothing on the disk. */
export interface MemoryModelStore extends ModelStore {
  /** Adds a model from its manifest and the bytes of its files. */
  addFiles(manifest: Manifest, files: ReadonlyMap<string, Uint8Array>): Promise<StoredModel>
}

export function createMemoryModelStore(): MemoryModelStore {
  const models = new Map<string, StoredModel>()
  const names = new Map<string, string>()

  async function hold(
    name: string,
    manifest: Manifest,
    files: ReadonlyMap<string, Uint8Array>,
  ): Promise<StoredModel> {
    const whole = new Map(files).set(MANIFEST_FILE, encodeManifest(manifest))
    const { cid, directories } = await addressDirectory(
      [...whole].map(([path, content]) => ({ path, content })),
    )
    const directory = `memory:${cid}`
    const read = async (path: string): Promise<Uint8Array> => {
      const content = whole.get(path)
      if (content === undefined)
        throw new StoreError('corrupt-store', `the model ${cid} has no file "${path}"`)
      return content
    }
    const modelPath = `${directory}/${manifest.model}`
    const model = createStoredModel({ cid, name, manifest, directory, modelPath, directories, read })
    models.set(cid, model)
    names.set(name, cid)
    return model
  }

  const get = (cid: string): StoredModel | undefined => models.get(cid)
  return {
    workDirectory: '',
    get,
    list: () => [...models.values()].sort(compareModels),
    resolve: (nameOrCid) => get(nameOrCid) ?? get(names.get(nameOrCid) ?? ''),
    addFiles: (manifest, files) => hold(manifest.name, manifest, files),
    async add({ name, manifest, directory }) {
      const paths = manifest.files.map(({ path }) => path).filter(isModelPath)
      const contents = await Promise.all(paths.map((path) => readFile(join(directory, path))))
      const model = await hold(name, manifest, new Map(paths.map((path, index) => [path, contents[index]!])))
      await rm(directory, { recursive: true, force: true })
      return model
    },
    async remove(cid) {
      for (const [name, named] of names) if (named === cid) names.delete(name)
      return models.delete(cid)
    },
    async verify(cid) {
      if (!models.has(cid)) throw new StoreError('unknown-model', `no model ${cid} in this store`)
    },
    taskBlocks: readTaskBlocks,
    async refresh() {},
  }
}

/** The order of `list`. */
export function compareModels(a: StoredModel, b: StoredModel): number {
  return comparePaths(a.name, b.name) || comparePaths(a.cid, b.cid)
}

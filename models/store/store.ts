import type { Manifest } from '../manifest/index.ts'
import type { ImportedModel } from '../source/index.ts'

/**
 * The models of this machine, by address and by name. Manifests are in memory, so looking one up costs nothing; files
 * are read when they are asked for.
 */
export interface ModelStore {
  /** Where an import has to make its copy, so that `add` can take it by renaming. */
  readonly workDirectory: string
  /**
   * Takes an imported model and gives it its name, which it takes from another model if need be. The imported directory
   * is gone afterwards. Adding what is there already changes the name only. Rejects with StoreError.
   */
  add(imported: ImportedModel): Promise<StoredModel>
  get(cid: string): StoredModel | undefined
  /** All models, sorted by name, then by address. */
  list(): StoredModel[]
  /** Finds a model by its address or its name on this machine. */
  resolve(nameOrCid: string): StoredModel | undefined
  /** Resolves with whether the model was there. */
  remove(cid: string): Promise<boolean>
  /** Reads every byte of a model and rejects with `corrupt-store` or `unknown-model` unless they are what the address says. */
  verify(cid: string, signal?: AbortSignal): Promise<void>
  /** What a requester needs that does not hold the model: the blocks of manifest and task files, 1 MiB at most. */
  taskBlocks(model: StoredModel): Promise<readonly Uint8Array[]>
  /** Looks again at what lies on the disk: another process may have added or removed a model. */
  refresh(): Promise<void>
}

export interface StoredModel {
  readonly cid: string
  /** What this machine calls it: the name it was added under. */
  readonly name: string
  readonly manifest: Manifest
  /** The model directory; it holds exactly what the address says. */
  readonly directory: string
  /** The `.onnx` file. */
  readonly modelPath: string
  /**
   * The UnixFS blocks of these files and of the directories above them, the root first. Verified before they are given
   * away. Rejects with `too-large` above 1 MiB, with `corrupt-store` or with AddressError for an unknown path.
   */
  blocks(paths: readonly string[]): Promise<Uint8Array[]>
}

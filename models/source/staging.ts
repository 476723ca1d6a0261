import { createHash } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { type FileHandle, lstat, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { addressDirectory, DIRECTORY_BLOCKS_BYTES_MAX } from '../address/index.ts'
import {
  externalDataExtents,
  isDynamicallyQuantised,
  MODEL_BYTES_MAX,
  modelSignature,
  type OnnxModel,
  readModel,
} from '../graph/index.ts'
import {
  comparePaths,
  encodeManifest,
  MANIFEST_FILE,
  type Manifest,
  type ManifestFile,
} from '../manifest/index.ts'
import { COPY_BYTES } from './constants.ts'
import { type Declared, deriveManifest, verifyManifest } from './derivation.ts'
import { asSourceError, graphFault, SourceError } from './errors.ts'
import { externalPath } from './external-path.ts'
import type { ImportedModel, ImportOptions } from './import.ts'
import { derivePlanRoot, planRoot } from './plan-root.ts'
import type { Selection } from './selection.ts'

/**
 * Copies a model's files into a fresh directory, checks that they belong together, writes the manifest and computes the
 * address over what was written. On failure the directory is gone again. Rejects with SourceError.
 */
export async function stageModel(
  selection: Selection,
  declared: Declared,
  options: ImportOptions,
): Promise<ImportedModel> {
  const directory = await createWorkFolder(options.workDirectory)
  try {
    return await stageInto(directory, selection, declared, options)
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw asSourceError(error, options.workDirectory)
  }
}

/**
 * A fresh folder for work in progress. Its name tells whose it is, so that whoever opens the store later can remove
 * what a killed process left.
 */
export async function createWorkFolder(workDirectory: string): Promise<string> {
  await mkdir(workDirectory, { recursive: true })
  return await mkdtemp(join(workDirectory, `.import-${process.pid}-`))
}

async function stageInto(
  directory: string,
  selection: Selection,
  declared: Declared,
  options: ImportOptions,
): Promise<ImportedModel> {
  const copied = new Map<string, ManifestFile>()
  const copy = async (path: string): Promise<void> => {
    copied.set(path, await copyFile(join(selection.root, path), join(directory, path), path, options))
  }
  await copy(selection.model)
  const model = await readModelFile(join(directory, selection.model))
  const externals = await findExternals(selection, model)
  const [foreign] = selection.foreign
  if (foreign !== undefined) {
    throw new SourceError(
      'unsupported-file',
      `"${foreign}" is a link, a device or a name that cannot travel; a model directory holds plain files only`,
    )
  }
  const others = new Set([...selection.others, ...externals.keys()])
  others.delete(selection.model)
  for (const path of others) await copy(path)
  verifyExtents(externals, copied)

  const files = [...copied.values()].sort((a, b) => comparePaths(a.path, b.path))
  const signature = graphFault(() => modelSignature(model))
  const manifest =
    selection.manifest === undefined
      ? deriveManifest(
          selection.model,
          files,
          signature,
          {
            plan: await derivePlanRoot(directory, selection.model, model, options),
            isNativeCheckable: !isDynamicallyQuantised(model),
          },
          declared,
        )
      : verifyManifest(
          selection.manifest,
          files,
          signature,
          // A publisher may leave the exact lane out.
          selection.manifest.plan && (await planRoot(directory, selection.model, model)),
        )
  await writeDurably(join(directory, MANIFEST_FILE), (file) => file.writeFile(encodeManifest(manifest)))
  const { cid, directories } = await addressDirectory(
    stagedFiles(directory, manifest, options),
    options.signal,
  )
  verifyTaskBytes(manifest, directories)
  return { cid, manifest, directory, directories, name: options.name ?? manifest.name }
}

/** A requester that does not hold the model must be able to fetch what describes it. */
function verifyTaskBytes(manifest: Manifest, directories: ReadonlyMap<string, Uint8Array>): void {
  const bytesOf = new Map(manifest.files.map(({ path, bytes }) => [path, bytes]))
  let total = encodeManifest(manifest).byteLength
  for (const path of manifest.task?.files ?? []) total += bytesOf.get(path) ?? 0
  for (const block of directories.values()) total += block.byteLength
  if (total > DIRECTORY_BLOCKS_BYTES_MAX) {
    throw new SourceError(
      'too-large',
      `manifest, task files and directories have ${total} bytes together; ${DIRECTORY_BLOCKS_BYTES_MAX} may travel`,
    )
  }
}

async function readModelFile(path: string): Promise<OnnxModel> {
  const { size } = await lstat(path)
  if (size > MODEL_BYTES_MAX) {
    throw new SourceError('corrupt-model', `the .onnx file has ${size} bytes, more than the format can hold`)
  }
  const bytes = await readFile(path)
  return graphFault(() => readModel(bytes))
}

/** The external data files and the bytes that each must have. */
async function findExternals(selection: Selection, model: OnnxModel): Promise<Map<string, number>> {
  const externals = new Map<string, number>()
  for (const [location, bytes] of graphFault(() => externalDataExtents(model))) {
    const path = externalPath(selection.model, location)
    await verifyNoLink(selection.root, path)
    externals.set(path, Math.max(externals.get(path) ?? 0, bytes))
  }
  return externals
}

/** A link on the way to external data could lead anywhere. */
async function verifyNoLink(root: string, path: string): Promise<void> {
  let place = root
  for (const part of path.split('/')) {
    place = join(place, part)
    const status = await lstat(place).catch((cause: unknown) => {
      throw new SourceError(
        'external-data-missing',
        `the model keeps data in "${path}", which is not beside it`,
        {
          cause,
        },
      )
    })
    if (status.isSymbolicLink()) {
      throw new SourceError(
        'external-data-escapes',
        `the model keeps data in "${path}", which is a link or behind one`,
      )
    }
  }
}

function verifyExtents(
  externals: ReadonlyMap<string, number>,
  copied: ReadonlyMap<string, ManifestFile>,
): void {
  for (const [path, bytes] of externals) {
    const given = copied.get(path)?.bytes ?? 0
    if (given < bytes) {
      throw new SourceError(
        'corrupt-model',
        `"${path}" is cut short: the model needs ${bytes} bytes of it, it has ${given}`,
      )
    }
  }
}

async function* stagedFiles(directory: string, manifest: Manifest, options: ImportOptions) {
  const paths = [...manifest.files.map(({ path }) => path), MANIFEST_FILE]
  for (const path of paths) {
    options.onProgress?.({ step: 'address', path })
    const content = createReadStream(join(directory, path), { highWaterMark: COPY_BYTES })
    yield { path, content: content as AsyncIterable<Uint8Array> }
  }
}

/** Copies one plain file, following no link, and digests what it writes. */
async function copyFile(
  from: string,
  to: string,
  path: string,
  options: ImportOptions,
): Promise<ManifestFile> {
  options.onProgress?.({ step: 'copy', path })
  await mkdir(dirname(to), { recursive: true })
  // Without O_NONBLOCK, opening a named pipe would wait for a writer. Windows has neither flag.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
  const source = await open(from, flags)
  try {
    if (!(await source.stat()).isFile())
      throw new SourceError('unsupported-file', `"${path}" is no plain file`)
    const hash = createHash('sha256')
    let bytes = 0
    await writeDurably(to, async (target) => {
      const buffer = new Uint8Array(COPY_BYTES)
      for (;;) {
        options.signal?.throwIfAborted()
        const { bytesRead } = await source.read(buffer)
        if (bytesRead === 0) return
        const piece = buffer.subarray(0, bytesRead)
        hash.update(piece)
        await target.writeFile(piece)
        bytes += bytesRead
      }
    })
    return { path, bytes, sha256: hash.digest('hex') }
  } finally {
    await source.close()
  }
}

/** Writes a new file; what it holds is on the disk itself when this resolves. */
async function writeDurably(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'wx', 0o644)
  try {
    await write(file)
    await file.sync()
  } finally {
    await file.close()
  }
}

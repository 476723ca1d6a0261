import { lstat, readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import {
  comparePaths,
  decodeManifest,
  isModelPath,
  MANIFEST_BYTES_MAX,
  MANIFEST_FILE,
  type Manifest,
  ManifestError,
} from '../manifest/index.ts'
import { MODEL_DEPTH_MAX, MODEL_FILES_MAX } from './constants.ts'
import { SourceError } from './errors.ts'

/** Which files of a folder make up a model. */
export interface Selection {
  readonly root: string
  /** The `.onnx` file, relative to `root`, as are all paths here. */
  readonly model: string
  /** Further files; those that the model itself refers to need not be among them. */
  readonly others: readonly string[]
  /** Links and other things that cannot be part of a model. */
  readonly foreign: readonly string[]
  /** What stands in `verimesh.json`, if there is one. */
  readonly manifest?: Manifest
  /** What to call the model if nobody says. */
  readonly name: string
}

/** Judges a directory or a lone `.onnx` file. Reads names and the manifest, nothing else. Rejects with SourceError. */
export async function selectFiles(path: string): Promise<Selection> {
  const status = await stat(path)
  if (status.isDirectory()) return await selectDirectory(path)
  const model = basename(path)
  if (!status.isFile() || !isOnnx(model)) {
    throw new SourceError('bad-source', `${path} is neither a directory nor a .onnx file`)
  }
  return { root: dirname(path), model, others: [], foreign: [], name: modelName(model) }
}

async function selectDirectory(root: string): Promise<Selection> {
  const { files, foreign } = await listFiles(root)
  if (files.includes(MANIFEST_FILE)) {
    const manifest = await readManifest(join(root, MANIFEST_FILE))
    const given = files.filter((path) => path !== MANIFEST_FILE)
    verifySameFiles(manifest, [...given, ...foreign])
    const others = given.filter((path) => path !== manifest.model)
    return { root, model: manifest.model, others, foreign, manifest, name: manifest.name }
  }
  const models = files.filter(isOnnx)
  const [model] = models
  if (model === undefined || models.length > 1) {
    throw new SourceError(
      'ambiguous-model',
      `${root} has no ${MANIFEST_FILE} and ${models.length === 0 ? 'no .onnx file' : `several .onnx files (${models.join(', ')})`}: ` +
        `give the path of one .onnx file, or write a ${MANIFEST_FILE}`,
    )
  }
  return { root, model, others: files.filter((path) => path !== model), foreign, name: modelName(model) }
}

async function readManifest(path: string): Promise<Manifest> {
  const { size } = await lstat(path)
  try {
    if (size > MANIFEST_BYTES_MAX) throw new ManifestError('manifest-too-large', `it has ${size} bytes`)
    return decodeManifest(await readFile(path))
  } catch (cause) {
    if (!(cause instanceof ManifestError)) throw cause
    throw new SourceError('malformed-manifest', `${path}: ${cause.message}`, { cause })
  }
}

function verifySameFiles(manifest: Manifest, given: readonly string[]): void {
  const listed = manifest.files.map(({ path }) => path)
  const missing = listed.filter((path) => !given.includes(path))
  const unlisted = given.filter((path) => !listed.includes(path))
  if (missing.length + unlisted.length === 0) return
  const parts = [
    missing.length > 0 ? `missing: ${missing.join(', ')}` : '',
    unlisted.length > 0 ? `not listed: ${unlisted.join(', ')}` : '',
  ]
  throw new SourceError(
    'manifest-mismatch',
    `the files are not those that ${MANIFEST_FILE} lists (${parts.filter((part) => part !== '').join('; ')})`,
  )
}

/** All files below `root`, sorted. What begins with a dot is no part of a model: editors and systems leave it behind. */
async function listFiles(root: string): Promise<{ files: string[]; foreign: string[] }> {
  const files: string[] = []
  const foreign: string[] = []
  const visit = async (folder: string, depth: number): Promise<void> => {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) {
        if (depth === MODEL_DEPTH_MAX) tooLarge(`${root} nests deeper than ${MODEL_DEPTH_MAX} folders`)
        await visit(path, depth + 1)
        continue
      }
      if (files.length + foreign.length === MODEL_FILES_MAX)
        tooLarge(`${root} has more than ${MODEL_FILES_MAX} files`)
      const plain = entry.isFile() && (isModelPath(path) || path === MANIFEST_FILE)
      ;(plain ? files : foreign).push(path)
    }
  }
  await visit('', 0)
  return { files: files.sort(comparePaths), foreign: foreign.sort(comparePaths) }
}

function isOnnx(path: string): boolean {
  return path.endsWith('.onnx')
}

function modelName(path: string): string {
  return basename(path, '.onnx')
}

function tooLarge(why: string): never {
  throw new SourceError('too-large', `${why}; is this the model's own directory?`)
}

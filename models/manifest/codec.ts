import type { Lane } from '../runtime/index.ts'
import { isDType, TENSOR_COUNT_MAX, TENSOR_NAME_BYTES_MAX, TENSOR_RANK_MAX } from '../tensor/index.ts'
import {
  DIM_MAX,
  MANIFEST_BYTES_MAX,
  PARAMETER_LENGTH_MAX,
  TASK_ENTRIES_MAX,
  TASK_FILES_BYTES_MAX,
  TAU_MAX,
  TEXT_LENGTH_MAX,
} from './constants.ts'
import { ManifestError } from './errors.ts'
import { malformed, readFields, readList, readRecord, readText, readWhole } from './fields.ts'
import {
  MANIFEST_FILE,
  type Manifest,
  type ManifestFile,
  type PlanRoot,
  type Signature,
  type TaskManifest,
  type ValueSignature,
} from './manifest.ts'
import { comparePaths, isModelPath } from './path.ts'

/**
 * The one byte form of a manifest: JSON in UTF-8, keys sorted, two spaces of indentation, a newline at the end.
 * Throws ManifestError for what `decodeManifest` would refuse.
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const bytes = canonicalBytes(readManifest(manifest))
  if (bytes.byteLength > MANIFEST_BYTES_MAX) tooLarge(bytes.byteLength)
  return bytes
}

/**
 * Decodes a manifest, which may come from a stranger. Refuses unknown and missing fields, wrong types, what contradicts
 * itself and every byte form but the canonical one. Throws ManifestError.
 */
export function decodeManifest(bytes: Uint8Array): Manifest {
  if (bytes.byteLength > MANIFEST_BYTES_MAX) tooLarge(bytes.byteLength)
  const manifest = readManifest(parse(bytes))
  if (Buffer.compare(canonicalBytes(manifest), bytes) !== 0) {
    throw new ManifestError(
      'not-canonical',
      'the manifest is not in its canonical form (sorted keys, two spaces of indentation, a newline at the end)',
    )
  }
  return manifest
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (cause) {
    throw new ManifestError('malformed-manifest', 'malformed manifest: it is not JSON in UTF-8', { cause })
  }
}

function canonicalBytes(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(sorted(value), null, 2)}\n`, 'utf8')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  entries.sort(([a], [b]) => comparePaths(a, b))
  return Object.fromEntries(entries.map(([key, field]) => [key, sorted(field)]))
}

function readManifest(value: unknown): Manifest {
  const fields = readFields(value, '')
  const version = fields.required('verimesh')
  if (version !== 1) malformed(`"verimesh" must be 1; this version of Verimesh knows no other`)
  const name = readText(fields.required('name'), 'name', TEXT_LENGTH_MAX)
  const license = readLicense(fields.optional('license'))
  const files = readFiles(fields.required('files'))
  const model = readText(fields.required('model'), 'model', TEXT_LENGTH_MAX * 2)
  if (!files.some(({ path }) => path === model))
    malformed(`"model" names "${model}", which is not among "files"`)
  const signature = readSignature(fields.required('signature'))
  const plan = readPlan(fields.optional('plan'))
  const lanes = readLanes(fields.required('lanes'))
  if (lanes.includes('exact') !== (plan !== undefined)) {
    malformed('"lanes" must hold "exact" exactly where there is a "plan"')
  }
  const tolerance = readTolerance(fields.required('tolerance'))
  const batching = readBatching(fields.required('batching'))
  const task = readTask(fields.optional('task'), files)
  fields.end()
  return {
    verimesh: 1,
    name,
    ...(license === undefined ? {} : { license }),
    model,
    files,
    signature,
    lanes,
    ...(plan === undefined ? {} : { plan }),
    tolerance,
    batching,
    ...(task === undefined ? {} : { task }),
  }
}

function readLicense(value: unknown): string | undefined {
  if (value === undefined) return undefined
  const license = readText(value, 'license', TEXT_LENGTH_MAX)
  if (!/^[A-Za-z0-9.+:() -]+$/.test(license)) malformed('"license" must be an SPDX expression')
  return license
}

function readFiles(value: unknown): ManifestFile[] {
  // The limit on the manifest's bytes bounds the number of files.
  const files = readList(value, 'files', MANIFEST_BYTES_MAX, (element, where) => {
    const fields = readFields(element, where)
    const path = readPath(fields.required('path'), fields.at('path'))
    const bytes = readWhole(fields.required('bytes'), fields.at('bytes'), 0, Number.MAX_SAFE_INTEGER)
    const sha256 = readText(fields.required('sha256'), fields.at('sha256'), 64)
    if (!/^[0-9a-f]{64}$/.test(sha256)) malformed(`"${fields.at('sha256')}" must be 64 lowercase hex digits`)
    fields.end()
    return { path, bytes, sha256 }
  })
  const folded = new Set<string>()
  files.forEach(({ path }, index) => {
    const previous = files[index - 1]
    if (previous !== undefined && comparePaths(previous.path, path) >= 0) {
      malformed('"files" must be distinct and sorted by path')
    }
    // Two names that differ in case alone are one file on many machines.
    const key = path.normalize('NFC').toLowerCase()
    if (folded.has(key)) malformed(`"files" holds "${path}" twice but for case`)
    folded.add(key)
  })
  return files
}

function readPath(value: unknown, where: string): string {
  const path = readText(value, where, TEXT_LENGTH_MAX * 2)
  if (!isModelPath(path)) {
    malformed(
      `"${where}" must be a normalized relative path without hidden parts; got ${JSON.stringify(path)}`,
    )
  }
  if (path.toLowerCase() === MANIFEST_FILE) malformed(`"${where}" is the manifest itself`)
  return path
}

function readSignature(value: unknown): Signature {
  const fields = readFields(value, 'signature')
  const inputs = readValues(fields.required('inputs'), fields.at('inputs'))
  const outputs = readValues(fields.required('outputs'), fields.at('outputs'))
  fields.end()
  if (outputs.length === 0) malformed('"signature.outputs" is empty')
  return { inputs, outputs }
}

function readValues(value: unknown, where: string): ValueSignature[] {
  const names = new Set<string>()
  return readList(value, where, TENSOR_COUNT_MAX, (element, at) => {
    const fields = readFields(element, at)
    const name = readName(fields.required('name'), fields.at('name'))
    if (names.has(name)) malformed(`"${where}" holds "${name}" twice`)
    names.add(name)
    const dtype = fields.required('dtype')
    if (!isDType(dtype)) malformed(`"${fields.at('dtype')}" is no element type: ${JSON.stringify(dtype)}`)
    const dims = readList(fields.required('dims'), fields.at('dims'), TENSOR_RANK_MAX, (dim, dimAt) =>
      typeof dim === 'string' ? readName(dim, dimAt) : readWhole(dim, dimAt, 1, DIM_MAX),
    )
    fields.end()
    return { name, dtype, dims }
  })
}

function readName(value: unknown, where: string): string {
  const name = readText(value, where, TENSOR_NAME_BYTES_MAX)
  if (Buffer.byteLength(name, 'utf8') > TENSOR_NAME_BYTES_MAX) {
    malformed(`"${where}" has more than ${TENSOR_NAME_BYTES_MAX} bytes`)
  }
  return name
}

const LANES: readonly Lane[] = ['native', 'exact']

function readLanes(value: unknown): Lane[] {
  const lanes = readList(value, 'lanes', LANES.length, (element, where) => {
    const lane = LANES.find((known) => known === element)
    if (lane === undefined) malformed(`"${where}" must be one of ${LANES.join(', ')}`)
    return lane
  })
  const ordered = LANES.filter((lane) => lanes.includes(lane))
  if (lanes.length === 0 || lanes.some((lane, index) => lane !== ordered[index])) {
    malformed(`"lanes" must be distinct, at least one, in the order ${LANES.join(', ')}`)
  }
  return lanes
}

function readPlan(value: unknown): PlanRoot | undefined {
  if (value === undefined) return undefined
  const fields = readFields(value, 'plan')
  const version = fields.required('version')
  if (version !== 1) malformed('"plan.version" must be 1; this version of Verimesh knows no other')
  const root = readText(fields.required('root'), 'plan.root', 64)
  if (!/^[0-9a-f]{64}$/.test(root)) malformed('"plan.root" must be 64 lowercase hex digits')
  fields.end()
  return { version, root }
}

function readTolerance(value: unknown): Manifest['tolerance'] {
  const fields = readFields(value, 'tolerance')
  const tau = fields.required('tau')
  fields.end()
  if (typeof tau !== 'number' || !isTau(tau)) {
    malformed(`"tolerance.tau" must be 0 or 1, 2 or 5 times a power of ten, ${TAU_MAX} at most`)
  }
  return { tau: tau + 0 }
}

/** Whether `tau` stands on the 1-2-5 ladder on which tolerances are declared. */
function isTau(tau: number): boolean {
  return tau === 0 || (tau > 0 && tau <= TAU_MAX && /^[125]e-\d+$/.test(tau.toExponential()))
}

function readBatching(value: unknown): Manifest['batching'] {
  const fields = readFields(value, 'batching')
  const independent = fields.required('independent')
  fields.end()
  if (typeof independent !== 'boolean') malformed('"batching.independent" must be true or false')
  return { independent }
}

function readTask(value: unknown, files: readonly ManifestFile[]): TaskManifest | undefined {
  if (value === undefined) return undefined
  const fields = readFields(value, 'task')
  const kind = readText(fields.required('kind'), 'task.kind', TEXT_LENGTH_MAX)
  const paths = readList(fields.required('files'), 'task.files', TASK_ENTRIES_MAX, readPath)
  const bytesOf = new Map(files.map(({ path, bytes }) => [path, bytes]))
  let total = 0
  paths.forEach((path, index) => {
    const bytes = bytesOf.get(path)
    if (bytes === undefined) malformed(`"task.files" names "${path}", which is not among "files"`)
    if (index > 0 && comparePaths(paths[index - 1] ?? '', path) >= 0) {
      malformed('"task.files" must be distinct and sorted')
    }
    total += bytes
  })
  if (total > TASK_FILES_BYTES_MAX)
    malformed(`"task.files" have ${total} bytes, more than ${TASK_FILES_BYTES_MAX}`)
  const companions = readEntries(fields.required('companions'), 'task.companions', (address, where) => {
    const cid = readText(address, where, TEXT_LENGTH_MAX)
    if (!/^b[a-z2-7]{58,}$/.test(cid)) malformed(`"${where}" must be a CID of version 1 in base32`)
    return cid
  })
  const parameters = readEntries(fields.required('parameters'), 'task.parameters', readParameter)
  fields.end()
  return { kind, files: paths, companions, parameters }
}

function readEntries<T>(
  value: unknown,
  where: string,
  readElement: (element: unknown, where: string) => T,
): Record<string, T> {
  const entries = Object.entries(readRecord(value, where))
  if (entries.length > TASK_ENTRIES_MAX) malformed(`"${where}" has more than ${TASK_ENTRIES_MAX} entries`)
  return Object.fromEntries(
    entries.map(([key, element]) => {
      // No key that JavaScript orders by number or gives a meaning of its own.
      if (!/^[A-Za-z][A-Za-z0-9-]{0,63}$/.test(key))
        malformed(`"${where}" has a bad key ${JSON.stringify(key)}`)
      return [key, readElement(element, `${where}.${key}`)]
    }),
  )
}

function readParameter(value: unknown, where: string): number | string | boolean | readonly number[] {
  if (typeof value === 'boolean') return value
  if (typeof value === 'string') return readText(value, where, TEXT_LENGTH_MAX)
  if (Array.isArray(value)) return readList(value, where, PARAMETER_LENGTH_MAX, readNumber)
  return readNumber(value, where)
}

function readNumber(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    malformed(`"${where}" must be a number, a string, true, false or a list of numbers`)
  }
  return value + 0
}

function tooLarge(bytes: number): never {
  throw new ManifestError(
    'manifest-too-large',
    `a manifest may have ${MANIFEST_BYTES_MAX} bytes at most; this one has ${bytes}`,
  )
}

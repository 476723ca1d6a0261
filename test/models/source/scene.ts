/** What the tests of sources share: scratch folders, tiny models, tar archives and what is left behind. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import * as assert from 'uvu/assert'
import {
  TensorProto_DataLocation as DataLocation,
  ModelProtoSchema,
} from '../../../models/graph/generated/onnx_pb.js'
import { SourceError, type SourceErrorCode } from '../../../models/source/index.ts'
import { buildAffineModel } from '../../fixtures/onnx-builder.ts'

export const TINY = buildAffineModel({ columns: 2 })

/** Runs `act` in a scratch folder that is gone afterwards. */
export async function inScratch(act: (scratch: string) => Promise<void>): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'verimesh-source-'))
  try {
    await act(scratch)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

export async function write(
  root: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
  return root
}

/** `y = x`, with a second initializer of 16 bytes that lies at `location`. */
export function externalModel(location: string): Uint8Array {
  const type = { value: { case: 'tensorType' as const, value: { elemType: 1, shape: { dim: [{}] } } } }
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ version: 17n }],
      graph: {
        name: 'external',
        node: [{ input: ['x', 'w'], output: ['y'], opType: 'Add' }],
        initializer: [
          {
            name: 'w',
            dims: [4n],
            dataType: 1,
            dataLocation: DataLocation.EXTERNAL,
            externalData: [
              { key: 'location', value: location },
              { key: 'length', value: '16' },
            ],
          },
        ],
        input: [{ name: 'x', type }],
        output: [{ name: 'y', type }],
      },
    }),
  )
}

/** Asserts that `act` rejects with `code` and leaves nothing in `workDirectory`. */
export async function rejects(
  act: Promise<unknown>,
  code: SourceErrorCode,
  workDirectory: string,
  which?: string,
): Promise<SourceError> {
  const error = await act.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  if (!(error instanceof SourceError))
    throw error ?? new Error(`it resolved${which === undefined ? '' : `: ${which}`}`)
  assert.is(error.code, code, which)
  assert.equal(await readdir(workDirectory).catch(() => []), [], which)
  return error
}

export interface TarEntry {
  readonly path: string
  readonly content?: string | Uint8Array
  /** ustar's type flag; a plain file by default. */
  readonly type?: string
  readonly prefix?: string
}

/** A ustar archive, ended by two blocks of zero. */
export function tar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap(({ path, content = '', type = '0', prefix = '' }) => {
    const bytes = Buffer.from(content)
    const header = Buffer.alloc(512)
    header.write(path, 0, 100)
    header.write('0000644\0', 100)
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124)
    header.write(type, 156)
    header.write('ustar\x0000', 257, 'latin1')
    header.write(prefix, 345)
    header.fill(' ', 148, 156)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

/** One record of a pax extended header. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return `${length}${rest}`
}

import { DIRECTORY_BLOCKS_BYTES_MAX, DIRECTORY_BLOCKS_MAX } from '../../models/address/index.ts'
import { CodecError, MessageReader, MessageWriter } from '../codec/index.ts'
import { CID_BYTES_MAX } from './constants.ts'
import { asModelFilesErrors, ModelFilesError } from './errors.ts'

/** Undefined means that the provider does not have the model. */
export type FilesResponse = readonly Uint8Array[] | undefined

/** Throws ModelFilesError `malformed`. */
export function encodeFilesRequest(cid: string): Uint8Array {
  return asModelFilesErrors(() => {
    const bytes = new MessageWriter().text(1, cid).finish()
    decodeFilesRequest(bytes)
    return bytes
  })
}

/** The CID that is asked for. Throws ModelFilesError `malformed`. */
export function decodeFilesRequest(bytes: Uint8Array): string {
  return asModelFilesErrors(() => {
    const reader = new MessageReader(bytes, 'request for model files')
    const cid = reader.text(1, { min: 1, max: CID_BYTES_MAX })
    reader.end()
    return cid
  })
}

/** Throws ModelFilesError `malformed` when the blocks are too many, too large or empty. */
export function encodeFilesResponse(blocks: FilesResponse): Uint8Array {
  return asModelFilesErrors(() => {
    if (blocks === undefined) return new MessageWriter().uint(1, UNKNOWN_MODEL).finish()
    verifyBounds(blocks)
    return new MessageWriter().repeatedBytes(2, blocks).finish()
  })
}

/** The blocks look into `bytes`; nothing about their content is checked. Throws ModelFilesError `malformed`. */
export function decodeFilesResponse(bytes: Uint8Array): FilesResponse {
  return asModelFilesErrors(() => {
    const reader = new MessageReader(bytes, 'response with model files')
    const refusal = reader.uint(1, { max: UNKNOWN_MODEL })
    const blocks =
      refusal === 0
        ? reader.repeatedBytes(2, { max: DIRECTORY_BLOCKS_BYTES_MAX, countMax: DIRECTORY_BLOCKS_MAX })
        : undefined
    reader.end()
    if (blocks !== undefined) verifyBounds(blocks)
    return blocks
  })
}

const UNKNOWN_MODEL = 1

function verifyBounds(blocks: readonly Uint8Array[]): void {
  if (blocks.length === 0) throw new CodecError('there is no block')
  if (blocks.length > DIRECTORY_BLOCKS_MAX)
    throw new ModelFilesError('malformed', `more than ${DIRECTORY_BLOCKS_MAX} blocks`)
  let total = 0
  for (const { byteLength } of blocks) total += byteLength
  if (total > DIRECTORY_BLOCKS_BYTES_MAX) {
    throw new ModelFilesError(
      'malformed',
      `blocks of ${total} bytes, at most ${DIRECTORY_BLOCKS_BYTES_MAX} are allowed`,
    )
  }
}

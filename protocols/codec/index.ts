export { CodecError, type CodecErrorCode } from './errors.ts'
export { type Bounds, MessageReader } from './reader.ts'
export { MessageWriter } from './writer.ts'

export { type Clock, SYSTEM_CLOCK } from './clock.ts'
export { READ_AHEAD_BYTES, WRITE_PIECE_BYTES } from './constants.ts'
export { FramingError, type FramingErrorCode } from './errors.ts'
export { encodeFrame, FramedStream } from './framed-stream.ts'

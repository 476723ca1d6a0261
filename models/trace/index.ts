export {
  LEAF_BYTES_MAX,
  LEAVES_BYTES_MAX,
  LEAVES_MAX,
  LOOP_ITERATIONS_MAX,
  POSITION_BYTES_MAX,
  POSITION_DEPTH_MAX,
  TRACE_VERSION,
} from './constants.ts'
export { TraceError, type TraceErrorCode } from './errors.ts'
export { ABSENT, decodeLeaf, encodeLeaf, hashLeaf, type Leaf } from './leaf.ts'
export { merklePath, merkleRoot, merkleRootFromPath } from './merkle.ts'
export { formatPosition, type Position, parsePosition } from './position.ts'
export {
  canonicalValue,
  createValueDigest,
  digestValue,
  dtypeOf,
  FALSE_DIGEST,
  flagDigest,
  flagValue,
  iterationValue,
  TRUE_DIGEST,
  type Value,
} from './value.ts'

export {
  PAYLOAD_BYTES_MAX,
  TENSOR_COUNT_MAX,
  TENSOR_NAME_BYTES_MAX,
  TENSOR_RANK_MAX,
} from './constants.ts'
export {
  allocatePayload,
  createTensorDigest,
  DIGEST_BYTES,
  digestTensors,
  digestTensorsInBackground,
  SALT_BYTES,
} from './digest.ts'
export { TensorError, type TensorErrorCode } from './errors.ts'
export { type JsonElement, type NestedArray, tensorFromJson, tensorToJson } from './json.ts'
export { decodeNpy, encodeNpy } from './npy.ts'
export {
  decodeTensorHeaders,
  decodeTensors,
  encodeTensorPieces,
  encodeTensors,
  type TensorHeader,
} from './payload.ts'
export { type FloatType, isFloat, type Spread, widenSpread } from './spread.ts'
export {
  DTYPES,
  type DType,
  ELEMENT_BYTES,
  elementCount,
  float32Elements,
  float32Tensor,
  isDType,
  type Tensor,
  verifyTensorSize,
} from './tensor.ts'

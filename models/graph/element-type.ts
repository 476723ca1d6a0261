import type { DType } from '../tensor/index.ts'
import { TensorProto_DataType as DataType } from './generated/onnx_pb.js'

/** The element type that ONNX numbers so; undefined where it does not travel. */
export function dtypeOfElement(elementType: number): DType | undefined {
  return DTYPE_OF.get(elementType)
}

/** ONNX's number of an element type. */
export function elementOfDtype(dtype: DType): number {
  return ELEMENT_OF[dtype]
}

/** What people call an element type, whether it travels or not. */
export function elementName(elementType: number): string {
  return DataType[elementType]?.toLowerCase() ?? `type number ${elementType}`
}

const ELEMENT_OF: Readonly<Record<DType, number>> = {
  float32: DataType.FLOAT,
  uint8: DataType.UINT8,
  int8: DataType.INT8,
  uint16: DataType.UINT16,
  int16: DataType.INT16,
  int32: DataType.INT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
  float16: DataType.FLOAT16,
  float64: DataType.DOUBLE,
  uint32: DataType.UINT32,
  uint64: DataType.UINT64,
}

const DTYPE_OF: ReadonlyMap<number, DType> = new Map(
  Object.entries(ELEMENT_OF).map(([dtype, number]) => [number, dtype as DType]),
)

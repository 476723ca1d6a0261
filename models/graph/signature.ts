import type { Signature, ValueSignature } from '../manifest/index.ts'
import { dtypeOfElement, elementName } from './element-type.ts'
import { GraphError } from './errors.ts'
import type { ValueInfoProto } from './generated/onnx_pb.js'
import type { OnnxModel } from './model.ts'

/**
 * What a model takes and gives, in the graph's order. Inputs with an initializer are constants with a default, not
 * inputs. A dimension without a name becomes the symbol `?VALUE.AXIS`, which no other dimension shares.
 * Throws `unsupported-value` for what is no tensor, has no shape or has elements that do not travel.
 */
export function modelSignature(model: OnnxModel): Signature {
  const { graph } = model
  const constants = new Set(graph.initializer.map(({ name }) => name))
  for (const { values } of graph.sparseInitializer) if (values !== undefined) constants.add(values.name)
  return {
    inputs: graph.input
      .filter(({ name }) => !constants.has(name))
      .map((value) => valueSignature(value, 'input')),
    outputs: graph.output.map((value) => valueSignature(value, 'output')),
  }
}

function valueSignature(value: ValueInfoProto, side: 'input' | 'output'): ValueSignature {
  const type = value.type?.value
  if (type?.case !== 'tensorType') {
    unsupported(value, side, `is ${type?.case?.replace(/Type$/, '') ?? 'of no stated type'}, not a tensor`)
  }
  const dtype = dtypeOfElement(type.value.elemType)
  if (dtype === undefined) unsupported(value, side, `has elements of ${elementName(type.value.elemType)}`)
  const { shape } = type.value
  if (shape === undefined) unsupported(value, side, 'states no shape')
  const dims = shape.dim.map(({ value: dim }, axis) => {
    // Some exporters write a dimension that varies as 0 or -1.
    if (dim.case === 'dimValue' && dim.value > 0n) return Number(dim.value)
    if (dim.case === 'dimParam' && dim.value !== '') return dim.value
    return `?${value.name}.${axis}`
  })
  return { name: value.name, dtype, dims }
}

function unsupported(value: ValueInfoProto, side: string, why: string): never {
  throw new GraphError(
    'unsupported-value',
    `the model's ${side} "${value.name}" ${why}; Verimesh runs models whose inputs and outputs are numeric tensors`,
  )
}

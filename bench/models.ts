import { buildModel, type OnnxNode, type OnnxTensor } from '../test/fixtures/onnx-builder.ts'

/** y = x * a + b on float32 [batch, width]: costs nothing, so that only the transport is measured. */
export function affineModel(width: number): Uint8Array {
  const dims = ['batch', width]
  return buildModel({
    inputs: [{ name: 'x', dtype: 'float32', dims }],
    outputs: [{ name: 'y', dtype: 'float32', dims }],
    initializers: [
      tensor('a', [width], randomFloats(width, 1, 1)),
      tensor('b', [width], randomFloats(width, 1, 2)),
    ],
    nodes: [
      { operator: 'Mul', inputs: ['x', 'a'], outputs: ['scaled'] },
      { operator: 'Add', inputs: ['scaled', 'b'], outputs: ['y'] },
    ],
  })
}

/** y = sum of x over its `rows`, float32 [batch, rows, width] to [batch, width]: much goes in, little comes out. */
export function sumModel(rows: number, width: number): Uint8Array {
  const axes = new Uint8Array(new BigInt64Array([1n]).buffer)
  return buildModel({
    inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', rows, width] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: ['batch', width] }],
    initializers: [{ name: 'axes', dtype: 'int64', dims: [1], data: axes }],
    nodes: [{ operator: 'ReduceSum', inputs: ['x', 'axes'], outputs: ['y'], integers: { keepdims: 0 } }],
  })
}

/**
 * `layers` of relu(x * W) of `width` x `width` weights. One row must read all weights for two operations each, so the
 * memory is the limit; more rows in one run share the reading. That is where batching helps.
 */
export function wideModel(width: number, layers: number): Uint8Array {
  const nodes: OnnxNode[] = []
  const initializers: OnnxTensor[] = []
  let from = 'x'
  for (let layer = 0; layer < layers; layer++) {
    // The variance keeps activations from growing or dying from layer to layer.
    const values = randomFloats(width * width, Math.sqrt(6 / width), layer + 1)
    initializers.push(tensor(`w${layer}`, [width, width], values))
    nodes.push({ operator: 'MatMul', inputs: [from, `w${layer}`], outputs: [`h${layer}`] })
    from = layer === layers - 1 ? 'y' : `r${layer}`
    nodes.push({ operator: 'Relu', inputs: [`h${layer}`], outputs: [from] })
  }
  const dims = ['batch', width]
  return buildModel({
    inputs: [{ name: 'x', dtype: 'float32', dims }],
    outputs: [{ name: 'y', dtype: 'float32', dims }],
    initializers,
    nodes,
  })
}

/** Values in [-scale, scale), by xorshift32 from `seed`: the same in every process, so models keep their address. */
export function randomFloats(count: number, scale: number, seed: number): Float32Array {
  const values = new Float32Array(count)
  let state = Math.imul(seed, 0x9e3779b1) | 1
  for (let index = 0; index < count; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    values[index] = (state / 0x8000_0000) * scale
  }
  return values
}

function tensor(name: string, dims: readonly number[], values: Float32Array): OnnxTensor {
  const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return { name, dtype: 'float32', dims, data }
}

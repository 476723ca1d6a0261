import { float32Elements, type Tensor } from '../../models/tensor/index.ts'
import type { Random } from './random.ts'
import type { Strategy } from './strategy.ts'

/** Of max|y|: far above any tolerance on the ladder. */
const AMPLITUDE = 0.05

/**
 * Models the clumsy cheat and the broken machine: every float32 element is off by up to a twentieth of the tensor's
 * largest one; in tensors of other types one byte is inverted. Anybody who compares sees it.
 */
export const randomNoise: Strategy = (outputs, random) => {
  for (const tensor of outputs) disturb(tensor, random)
  return outputs
}

function disturb(tensor: Tensor, random: Random): void {
  if (tensor.dtype !== 'float32') {
    const at = random.below(tensor.data.length)
    if (tensor.data.length > 0) tensor.data[at] = tensor.data[at]! ^ 0xff
    return
  }
  const elements = float32Elements(tensor)
  const amplitude = AMPLITUDE * (largestMagnitude(elements) || 1)
  for (let index = 0; index < elements.length; index++) {
    elements[index] = elements[index]! + (random.next() * 2 - 1) * amplitude
  }
}

/** The largest |element| that is a number; 0 of none. */
export function largestMagnitude(elements: Float32Array): number {
  let largest = 0
  for (const element of elements) {
    const magnitude = Math.abs(element)
    if (magnitude > largest) largest = magnitude
  }
  return largest
}

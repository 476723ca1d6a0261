import type { Tensor } from '../../models/tensor/index.ts'
import type { Random } from './random.ts'

/**
 * How a liar changes outputs. Gets tensors whose bytes it may change in place, and a generator of its own for this
 * input; returns what is answered instead. Pure but for that: the same input and seed give the same lie.
 */
export type Strategy = (outputs: readonly Tensor[], random: Random) => readonly Tensor[]

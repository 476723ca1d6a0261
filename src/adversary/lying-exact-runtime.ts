import type { ExactRuntime, Trace } from '../../models/runtime/index.ts'
import { decodeTensors, encodeTensors, type Tensor } from '../../models/tensor/index.ts'
import { canonicalValue, decodeLeaf, digestValue, encodeLeaf } from '../../models/trace/index.ts'
import { type Forgery, honestTrace } from './forgeries.ts'
import { createLyingRuntime, type LyingRuntimeInit } from './lying-runtime.ts'
import { createRandom } from './random.ts'

/**
 * Lies in the exact lane too: answers what `strategy` makes of the outputs, and signs a trace that `forgery` bends until it
 * ends in that. With `honestTrace` it traces honestly, and only its native answers are lies.
 */
export function createLyingExactRuntime(
  inner: ExactRuntime,
  { strategy, seed, forgery }: LyingRuntimeInit & { readonly forgery: Forgery },
): ExactRuntime {
  const lying = forgery === honestTrace ? inner : createLyingRuntime(inner, { strategy, seed })
  return {
    info: inner.info,
    execute: (batch, signal) => lying.execute(batch, signal),
    load: (signal) => inner.load(signal),
    plan: (signal) => inner.plan(signal),
    async trace(inputs, signal) {
      const truth = await inner.trace(inputs, signal)
      return forgery === honestTrace ? truth : forge(truth, inputs)
    },
    operands: (inputs, position, signal) => inner.operands(inputs, position, signal),
    runStep: (...step) => inner.runStep(...step),
    close: () => inner.close(),
  }

  function forge(truth: Trace, inputs: Uint8Array): Trace {
    const honest = decodeTensors(truth.outputs)
    const told = strategy(decodeTensors(truth.outputs.slice()), createRandom(seed, inputs)).map(canonical)
    const lies = new Map<string, Uint8Array>()
    for (const tensor of honest) {
      const lie = told.find(({ name }) => name === tensor.name)
      if (lie !== undefined) lies.set(Buffer.from(digestValue(tensor)).toString('hex'), digestValue(lie))
    }
    // A generator of its own: what is bent depends on liar and inputs alone, so everybody is told the same.
    const random = createRandom(seed ^ FORGING, inputs)
    const leaves = forgery(truth.leaves.map(decodeLeaf), lies, random).map(encodeLeaf)
    return { ...truth, leaves, outputs: encodeTensors(told) }
  }
}

/** Sets the choice of a forgery apart from the choice of a lie. */
const FORGING = 0x40000000

function canonical(tensor: Tensor): Tensor {
  return { name: tensor.name, ...canonicalValue(tensor) }
}

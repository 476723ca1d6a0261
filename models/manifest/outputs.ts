import { ManifestError } from './errors.ts'
import type { TensorForm } from './inputs.ts'
import type { Signature } from './manifest.ts'

/**
 * Checks what a provider gave for a model against the model's signature: exactly its outputs, each once, with their
 * element types (`output-mismatch`), ranks and fixed dimensions (`output-shape`). Symbols are not compared: an output's
 * may stand for a size that only the model knows.
 *
 * The two are told apart since an engine never gives other names or types than the model declares, but gives other
 * shapes where the model's own declaration is false: whoever ran such a model has done nothing wrong.
 */
export function verifyOutputs(signature: Signature, tensors: readonly TensorForm[]): void {
  const given = new Map(tensors.map((tensor) => [tensor.name, tensor]))
  if (given.size !== tensors.length || tensors.length !== signature.outputs.length) {
    mismatch(`${tensors.length} outputs where the model has ${signature.outputs.length}`)
  }
  const forms = signature.outputs.map((expected) => {
    const tensor = given.get(expected.name)
    if (tensor === undefined) mismatch(`output "${expected.name}" is missing`)
    if (tensor.dtype !== expected.dtype) {
      mismatch(`output "${expected.name}" is ${tensor.dtype}, expected ${expected.dtype}`)
    }
    return { expected, tensor }
  })
  for (const { expected, tensor } of forms) {
    const fits =
      tensor.dims.length === expected.dims.length &&
      expected.dims.every((dim, axis) => typeof dim === 'string' || tensor.dims[axis] === dim)
    if (fits) continue
    throw new ManifestError(
      'output-shape',
      `output "${expected.name}" has the shape [${tensor.dims.join(', ')}] where the model's signature says [${expected.dims.join(', ')}]`,
    )
  }
}

function mismatch(message: string): never {
  throw new ManifestError('output-mismatch', message)
}

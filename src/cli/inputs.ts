import { readFile } from 'node:fs/promises'
import type { ValueSignature } from '../../models/manifest/index.ts'
import { decodeNpy, type Tensor, tensorFromJson } from '../../models/tensor/index.ts'
import { CommandError } from './failure.ts'

/** Tensors from what stands after `--input`, or another `option`, of a command. Throws CommandError. */
export async function readInputs(
  given: readonly string[],
  signature: readonly ValueSignature[],
  model: string,
  option = '--input',
): Promise<Tensor[]> {
  if (given.length === 0) {
    const wanted = signature.map(
      ({ name, dtype, dims }) => `${option} ${name}=FILE.npy  (${dtype}[${dims.join(', ')}])`,
    )
    throw new CommandError('usage', `${model} needs its inputs:\n  ${wanted.join('\n  ')}`)
  }
  return Promise.all(given.map((text) => readInput(text, signature, option)))
}

async function readInput(
  text: string,
  signature: readonly ValueSignature[],
  option: string,
): Promise<Tensor> {
  const at = text.indexOf('=')
  if (at < 1)
    throw new CommandError(
      'usage',
      `${option} takes NAME=FILE.npy, NAME=FILE.json or NAME=JSON; got "${text}"`,
    )
  const name = text.slice(0, at)
  const value = text.slice(at + 1)
  const expected = signature.find((input) => input.name === name)
  if (expected === undefined) {
    const names = signature.map((input) => input.name).join(', ')
    throw new CommandError('usage', `the model has no input "${name}"; it has: ${names}`)
  }
  try {
    if (/\.(npz|png|jpe?g|txt|pt|bin)$/.test(value)) {
      throw new TypeError('it must be an .npy file with one array, a .json file, or JSON itself')
    }
    if (value.endsWith('.npy')) return decodeNpy(name, await readFile(value))
    const json =
      /^[[{\-\d"tf]/.test(value) && !value.endsWith('.json') ? value : await readFile(value, 'utf8')
    return tensorFromJson(name, JSON.parse(json), expected.dtype, expected.dims)
  } catch (cause) {
    throw new CommandError(
      'unreadable-input',
      `the input "${name}" cannot be read from ${value.slice(0, 80)}`,
      { cause },
    )
  }
}

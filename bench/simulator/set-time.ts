import { basename, dirname } from 'node:path'
import { type ImportedModel, importPackageModel } from '../../models/source/index.ts'
import { float32Elements, float32Tensor, type Tensor } from '../../models/tensor/index.ts'
import { randomFloats } from '../models.ts'

/** What `affineModel(width)` computes, to the bit: as many multiplications and additions, each rounded to float32. */
export function affineOf(width: number): (inputs: readonly Tensor[]) => Tensor[] {
  const [a, b] = [randomFloats(width, 1, 1), randomFloats(width, 1, 2)]
  return ([x]) => [
    float32Tensor(
      'y',
      x!.dims,
      float32Elements(x!).map((value, index) => Math.fround(value * a[index % width]!) + b[index % width]!),
    ),
  ]
}

/** The model of that file as one whose executions are not batched, which the simulator does not model. */
export function importSetTime(workDirectory: string, modelPath: string): Promise<ImportedModel> {
  return importPackageModel(
    {
      package: { name: 'bench', version: '1.0.0' },
      folder: '.',
      model: basename(modelPath),
      others: [],
      declared: { name: 'set-time', tau: 1e-4, independent: false },
    },
    { workDirectory, packageDirectory: dirname(modelPath) },
  )
}

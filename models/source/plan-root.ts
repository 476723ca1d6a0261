import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { externalDataLocations, type OnnxModel, prepareExactModel } from '../graph/index.ts'
import type { PlanRoot } from '../manifest/index.ts'
import { EXACT_EXTERNAL_BYTES_MAX } from './constants.ts'
import { graphFault, SourceError } from './errors.ts'
import { externalPath } from './external-path.ts'
import type { ImportOptions } from './import.ts'

/**
 * The root of the plan of the model at `path` in `directory`, where all its files lie; undefined for one that the exact lane
 * does not execute, where `nativeOnly` admits it. Rejects with SourceError.
 */
export async function derivePlanRoot(
  directory: string,
  path: string,
  model: OnnxModel,
  { nativeOnly = false }: ImportOptions,
): Promise<PlanRoot | undefined> {
  try {
    return await planRoot(directory, path, model)
  } catch (cause) {
    if (!(cause instanceof SourceError) || cause.code !== 'unsupported-operator') throw cause
    if (nativeOnly) return undefined
    throw new SourceError(
      'unsupported-operator',
      `${cause.message}. Without the exact lane a lie of a provider of this model cannot be proved; --native-only adds it nevertheless`,
      { cause },
    )
  }
}

/** As `derivePlanRoot`, for a model that must have a plan. */
export async function planRoot(directory: string, path: string, model: OnnxModel): Promise<PlanRoot> {
  const external = new Map<string, Uint8Array>()
  let bytes = 0
  for (const location of graphFault(() => externalDataLocations(model))) {
    const file = join(directory, externalPath(path, location))
    bytes += (await lstat(file)).size
    if (bytes > EXACT_EXTERNAL_BYTES_MAX) {
      throw new SourceError(
        'unsupported-operator',
        `the model keeps more than ${EXACT_EXTERNAL_BYTES_MAX} bytes beside the .onnx file, for which the exact lane has no room`,
      )
    }
    external.set(location, await readFile(file))
  }
  const { plan } = graphFault(() => prepareExactModel(model, external))
  return { version: 1, root: Buffer.from(plan.root).toString('hex') }
}

import { posix } from 'node:path'
import { isModelPath } from '../manifest/index.ts'
import { SourceError } from './errors.ts'

/**
 * Where the external data of `model` at `location` lies, relative to the model directory. Refuses every location that
 * climbs, even where it would end up inside, and every absolute one. Throws `external-data-escapes`.
 */
export function externalPath(model: string, location: string): string {
  const parts = location.split('/')
  const path = posix.join(posix.dirname(model), location)
  if (parts.includes('..') || posix.isAbsolute(location) || !isModelPath(path)) {
    throw new SourceError(
      'external-data-escapes',
      `the model keeps data at ${JSON.stringify(location)}; only files beside or below the .onnx file are taken`,
    )
  }
  return path
}

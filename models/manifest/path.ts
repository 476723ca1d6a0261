import { PATH_BYTES_MAX } from './constants.ts'

/**
 * Whether `path` may name a file of a model directory: relative, `/` between its parts, already normalized, no part
 * that begins with a dot (so neither `..` nor hidden files), nothing that a file system or shell could read otherwise.
 */
export function isModelPath(path: string): boolean {
  return (
    path.length > 0 &&
    Buffer.byteLength(path, 'utf8') <= PATH_BYTES_MAX &&
    path.isWellFormed() &&
    !/[\\:\p{Cc}]/u.test(path) &&
    path.split('/').every((part) => part !== '' && !part.startsWith('.'))
  )
}

/** The order of paths in a manifest: by UTF-16 code unit, which no locale changes. */
export function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

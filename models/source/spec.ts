import { isModelPath } from '../manifest/index.ts'
import { SourceError } from './errors.ts'

/** Where a model comes from. */
export type SourceSpec =
  | { readonly kind: 'local'; readonly path: string }
  | {
      readonly kind: 'npm'
      readonly name: string
      readonly version: string
      /** A `.onnx` file or a directory inside the package; '' is the package itself. */
      readonly path: string
    }

/**
 * Reads what a person typed: `npm:PACKAGE@VERSION#PATH`, with an exact version, or the path of a directory or `.onnx`
 * file. Throws `bad-source`.
 */
export function parseSource(text: string): SourceSpec {
  if (text === '') bad('the source is empty')
  const scheme = /^([a-z][a-z0-9+.-]+):/.exec(text)?.[1]
  if (scheme === undefined) return { kind: 'local', path: text }
  if (scheme !== 'npm') bad(`"${scheme}:" sources are unknown`)
  const match = /^npm:((?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*)@([^#]+)(?:#(.*))?$/.exec(text)
  const [, name, version, path = ''] = match ?? []
  if (name === undefined || version === undefined) bad(`"${text}" names no npm package with a version`)
  if (!/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/.test(version)) {
    bad(`"${version}" is no exact version (a range or tag may be another model tomorrow)`)
  }
  if (path !== '' && !isModelPath(path)) bad(`"${path}" is no path inside a package`)
  return { kind: 'npm', name, version, path }
}

function bad(why: string): never {
  throw new SourceError(
    'bad-source',
    `${why}. Give a directory, a .onnx file, or npm:PACKAGE@VERSION#PATH, for example npm:@scope/name@1.2.3#models/model.onnx`,
  )
}

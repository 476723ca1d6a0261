import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { SOCKET_PATH_BYTES_MAX } from './constants.ts'

/**
 * Where the control socket of a data directory lies: inside it, or, where that path is too long for a unix socket, in
 * the directory for temporary files under a name made from it.
 */
export function controlSocketPath(dataDirectory: string): string {
  const directory = resolve(dataDirectory)
  const path = join(directory, 'control.sock')
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return path
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 24)
  return join(tmpdir(), `verimesh-${name}.sock`)
}

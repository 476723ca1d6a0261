/** What lies where in a data directory, for those who look there without a node. */
import { join } from 'node:path'

/** Where proofs of fraud lie, one file a key. */
export function proofsDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'proofs')
}

/** What is appended to a bundle's name for the mark beside it, see `Recheck`. */
export const RECHECK_SUFFIX = '.recheck.json'

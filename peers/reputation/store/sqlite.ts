import type { DatabaseSync } from 'node:sqlite'
import { ReputationError } from '../errors.ts'

/**
 * Opens or makes a SQLite database. It is not imported, and the one warning that loading it gives on Node 22 (that it is
 * experimental) is not passed on: it tells a person at the terminal nothing. Whatever else is warned of is.
 */
export function openSqlite(path: string, timeoutMs: number): DatabaseSync {
  const { DatabaseSync } = loadSqlite()
  return new DatabaseSync(path, { timeout: timeoutMs })
}

/** The result code of SQLite's that an error carries, without its extension; undefined where it carries none. */
export function sqliteCode(error: unknown): number | undefined {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return typeof code === 'number' ? code & 0xff : undefined
}

export const SQLITE_CORRUPT = 11
export const SQLITE_NOT_A_DATABASE = 26

function loadSqlite(): typeof import('node:sqlite') {
  const { emitWarning } = process
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (rest[0] === 'ExperimentalWarning' && String(warning).startsWith('SQLite')) return
    Reflect.apply(emitWarning, process, [warning, ...rest])
  }
  try {
    // Loads at once: nothing else runs while the warning is held back.
    const sqlite = process.getBuiltinModule('node:sqlite')
    if (sqlite === undefined) throw new ReputationError('unavailable', 'this Node was built without SQLite')
    return sqlite
  } finally {
    process.emitWarning = emitWarning
  }
}

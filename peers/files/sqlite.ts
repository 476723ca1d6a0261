import type { DatabaseSync } from 'node:sqlite'

/**
 * Opens or makes a SQLite database; `timeoutMs` is how long another process that writes is waited for. SQLite is not imported,
 * and the one warning that loading it gives on Node 22 (that it is experimental) is not passed on: it tells a person at the
 * terminal nothing. Whatever else is warned of is. Throws what SQLite says.
 */
export function openSqlite(path: string, timeoutMs: number): DatabaseSync {
  const { DatabaseSync } = loadSqlite()
  return new DatabaseSync(path, { timeout: timeoutMs })
}

/** Runs `act` in a transaction that begins with the right to write. Where it throws, nothing of it is left. */
export function inTransaction<T>(connection: DatabaseSync, act: () => T): T {
  connection.exec('BEGIN IMMEDIATE')
  try {
    const result = act()
    connection.exec('COMMIT')
    return result
  } catch (error) {
    // Some errors have already undone it.
    if (connection.isTransaction) connection.exec('ROLLBACK')
    throw error
  }
}

/** The result code of SQLite's that an error carries, without its extension; undefined where it carries none. */
export function sqliteCode(error: unknown): number | undefined {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return typeof code === 'number' ? code & 0xff : undefined
}

export const SQLITE_BUSY = 5
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
    if (sqlite === undefined) throw new Error('this Node was built without SQLite')
    return sqlite
  } finally {
    process.emitWarning = emitWarning
  }
}

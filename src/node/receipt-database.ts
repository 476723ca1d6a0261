/**
 * The receipt index in `receipts.db`, a SQLite database in the data directory: answers that rest on the word of others are
 * found again by whatever process next runs on that directory, however this one ends. Several may at once.
 *
 * It is a convenience, and never in the way: where it cannot be opened, read or written, that is told once and the node
 * goes on without it. A damaged one is set aside and begun anew.
 */
import { randomUUID } from 'node:crypto'
import { chmodSync, existsSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import {
  inTransaction,
  openSqlite,
  SQLITE_BUSY,
  SQLITE_CORRUPT,
  SQLITE_NOT_A_DATABASE,
  sqliteCode,
} from '../../peers/files/index.ts'
import { now } from './clock.ts'
import { RECEIPT_CLAIM_MS, RECEIPT_LOCK_MS_MAX, RECEIPT_TRIES_MAX, RECHECKED_JOBS_MAX } from './constants.ts'
import type { Log } from './log.ts'
import { isRestingAnswer, type ReceiptIndex, type RestingAnswer } from './receipt-index.ts'

export const RECEIPTS_FILE = 'receipts.db'
/** What is appended to the name of a damaged one that was set aside; it takes the place of an earlier one. */
export const DAMAGED_SUFFIX = '.damaged'

export interface ReceiptDatabaseOptions {
  readonly log: Log
  /** Wall time in milliseconds; for tests. */
  readonly now?: () => number
  /** Whether a process of this machine is there; for tests. */
  readonly isAlive?: (pid: number) => boolean
  readonly answersMax?: number
}

/** Nothing is opened before it is used, and no file is made before there is something to remember. Never throws. */
export function createReceiptDatabase(dataDirectory: string, options: ReceiptDatabaseOptions): ReceiptIndex {
  const { log, answersMax = RECHECKED_JOBS_MAX, isAlive = isProcess } = options
  const clock = options.now ?? now
  const path = join(dataDirectory, RECEIPTS_FILE)
  /** Two nodes of one process are two. */
  const self = `${process.pid} ${randomUUID()}`
  let database: Database | undefined
  let isBroken = false

  /** What `act` does to the database, or `otherwise` where there is none. */
  function attempt<T>(mayCreate: boolean, otherwise: T, act: (database: Database) => T): T {
    if (isBroken) return otherwise
    try {
      if (database === undefined && !mayCreate && !existsSync(path)) return otherwise
      database ??= openDatabase(path, log)
      return act(database)
    } catch (error) {
      // Another process holds it just now: this once it is not remembered on disk.
      if (sqliteCode(error) === SQLITE_BUSY) {
        log.warn('the index of receipts is busy; what was to be remembered there is remembered in memory', {
          path,
        })
        return otherwise
      }
      isBroken = true
      database?.close()
      database = undefined
      log.error(
        'the index of receipts cannot be used: answers that rest on a key exposed later are found only while this process runs. Restart with a data directory that can be written, or remove the file',
        { path, error },
      )
      return otherwise
    }
  }

  return {
    add(answer) {
      if (answer.bundle === undefined || !isRestingAnswer(answer)) return false
      const { jobId, model, tau, bundle, agreed } = answer
      return attempt(true, false, (open) => {
        open.transaction(() => {
          open.run('INSERT INTO answers (job, model, tau, bundle, agreed) VALUES (?, ?, ?, ?, ?)', [
            jobId,
            model,
            tau,
            bundle,
            [...new Set(agreed)].join(' '),
          ])
          open.run('DELETE FROM answers WHERE number <= (SELECT max(number) FROM answers) - ?', [answersMax])
        })
        return true
      })
    },
    providers: () =>
      attempt(false, [], (open) => [
        ...new Set(
          open.all('SELECT DISTINCT agreed FROM answers').flatMap(({ agreed }) => String(agreed).split(' ')),
        ),
      ]),
    restingOn: (provider) =>
      attempt<RestingAnswer[]>(false, [], (open) =>
        open
          .all(
            "SELECT job, model, tau, bundle, agreed FROM answers WHERE instr(' ' || agreed || ' ', ' ' || ? || ' ') ORDER BY number",
            [provider],
          )
          .map(({ job, model, tau, bundle, agreed }) => ({
            jobId: String(job),
            model: String(model),
            agreed: String(agreed).split(' '),
            tau: Number(tau),
            bundle: String(bundle),
          }))
          .filter(isRestingAnswer),
      ),
    claim: (jobId) =>
      attempt(false, false, (open) => {
        const [held] = open.all('SELECT claimant, claimed_until FROM answers WHERE job = ?', [jobId])
        if (held === undefined || isHeld(String(held.claimant), Number(held.claimed_until))) return false
        const taken = open.run(
          'UPDATE answers SET claimant = ?, claimed_until = ? WHERE job = ? AND claimant = ?',
          [self, clock() + RECEIPT_CLAIM_MS, jobId, String(held.claimant)],
        )
        return taken === 1
      }),
    release: (jobId, { tried }) =>
      attempt(false, undefined, (open) => {
        open.run("UPDATE answers SET claimant = '', tries = tries + ? WHERE job = ? AND claimant = ?", [
          tried ? 1 : 0,
          jobId,
          self,
        ])
        open.run('DELETE FROM answers WHERE job = ? AND tries >= ?', [jobId, RECEIPT_TRIES_MAX])
      }),
    remove: (jobId) =>
      attempt(false, undefined, (open) => void open.run('DELETE FROM answers WHERE job = ?', [jobId])),
    close() {
      database?.close()
      database = undefined
      isBroken = true
    },
  }

  /** Whoever claimed it holds it while its process is there, for a time; a clock that was set back makes that no longer. */
  function isHeld(claimant: string, untilMs: number): boolean {
    if (claimant === '' || claimant === self) return false
    const leftMs = untilMs - clock()
    return leftMs > 0 && leftMs <= RECEIPT_CLAIM_MS && isAlive(Number.parseInt(claimant, 10))
  }
}

/** Of this layout. */
const SCHEMA_VERSION = 1
/**
 * No index but the number: an answer is added with every job, at the end of the table and in 0.1 ms, while all of them are
 * looked at only when a key is exposed. `agreed` is peer ids with spaces between them.
 */
const SCHEMA = `
  CREATE TABLE answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    model TEXT NOT NULL,
    tau REAL NOT NULL,
    bundle TEXT NOT NULL,
    agreed TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    claimant TEXT NOT NULL DEFAULT '',
    claimed_until REAL NOT NULL DEFAULT 0
  ) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};
`

interface Database {
  run(sql: string, values: readonly (string | number)[]): number
  all(sql: string, values?: readonly (string | number)[]): Record<string, unknown>[]
  transaction(act: () => void): void
  close(): void
}

/** Opens what is there or begins it. A damaged one is set aside, once. Throws what SQLite or the file system says. */
function openDatabase(path: string, log: Log): Database {
  const before = inodeOf(path)
  try {
    return connect(path)
  } catch (error) {
    const code = sqliteCode(error)
    if (code !== SQLITE_CORRUPT && code !== SQLITE_NOT_A_DATABASE) throw error
    // Unless another process has just done so.
    if (inodeOf(path) === before) {
      renameSync(path, `${path}${DAMAGED_SUFFIX}`)
      for (const beside of ['-wal', '-shm']) rmSync(`${path}${beside}`, { force: true })
      log.error(
        'the index of receipts was damaged, and is begun anew: answers from before that rest on a key exposed later are not found any more. Their bundles are unharmed',
        { path, setAside: `${path}${DAMAGED_SUFFIX}`, error },
      )
    }
    return connect(path)
  }
}

function connect(path: string): Database {
  const connection = openSqlite(path, RECEIPT_LOCK_MS_MAX)
  try {
    chmodSync(path, 0o600)
    // A power cut loses at most the last commits, and damages nothing. The event loop waits for the disk once in a
    // thousand answers or so: when the log of what was written (16 MB) is taken over.
    connection.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000',
    )
    const [checked] = connection.prepare('PRAGMA quick_check(1)').all()
    if (checked?.quick_check !== 'ok') {
      throw Object.assign(new Error(String(checked?.quick_check)), { errcode: SQLITE_CORRUPT })
    }
    begin(connection)
  } catch (error) {
    connection.close()
    throw error
  }
  return {
    run: (sql, values) => Number(connection.prepare(sql).run(...values).changes),
    all: (sql, values = []) => connection.prepare(sql).all(...values),
    transaction: (act) => inTransaction(connection, act),
    close: () => connection.close(),
  }
}

function begin(connection: DatabaseSync): void {
  // Of two processes that begin at the same moment one waits, and finds it begun.
  inTransaction(connection, () => {
    const version = Number(connection.prepare('PRAGMA user_version').get()?.user_version)
    if (version === 0) connection.exec(SCHEMA)
    else if (version !== SCHEMA_VERSION) throw new Error(`its layout ${version} is that of another version`)
  })
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino
}

function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

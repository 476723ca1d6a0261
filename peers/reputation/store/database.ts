/**
 * `reputation.db`: one row a provider, with its entry as bytes. Several processes of one data directory use it at once. Each
 * writes what it has seen since it last wrote, merged within one transaction into what is there, and takes up what others
 * have written meanwhile: a revision rises with every transaction, and each row knows its own.
 *
 * Everything here is synchronous, and waits for the disk: for a thread that has nothing else to do, and for short commands.
 */
import { chmodSync, closeSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { CodecError } from '../../../protocols/codec/index.ts'
import {
  inTransaction,
  openSqlite,
  SQLITE_CORRUPT,
  SQLITE_NOT_A_DATABASE,
  sqliteCode,
} from '../../files/index.ts'
import { decodeEntry, encodeEntry } from '../entry-codec.ts'
import { ReputationError } from '../errors.ts'
import { type LedgerEntry, worthOf } from '../ledger.ts'
import { joinEntries, mergeEntries } from '../merging.ts'
import type { ReputationParams } from '../params.ts'
import { DAMAGED_SUFFIX } from './constants.ts'

export interface ReputationDatabase {
  /** Rows that were written since they were last read here; at first since `seen`, or all. */
  changes(): DatabaseChanges
  /** Adds what was seen since it was last told, and reads as `changes` does: its own rows are among them. */
  merge(since: readonly LedgerEntry[]): DatabaseChanges
  /** Takes in what may be known already: of each provider the weightier numbers stay. Reads as `merge` does. */
  join(entries: readonly LedgerEntry[]): DatabaseChanges
  close(): void
}

export interface DatabaseChanges {
  readonly entries: readonly LedgerEntry[]
  /** Up to which revision they are. */
  readonly revision: number
  /** Rows that could not be read. Each is overwritten when its provider is next seen. */
  readonly damaged: number
}

export interface DatabaseOptions {
  readonly params: ReputationParams
  /** How long another process is waited for. */
  readonly lockMs: number
  /** The revision that is known already. */
  readonly seen?: number
}

/**
 * Opens the database, or makes it. Throws ReputationError: `damaged` where it is none, `newer-version`, or `unavailable` for
 * whatever the file system or SQLite says. Its methods throw `damaged` and `unavailable`.
 */
export function openDatabase(path: string, options: DatabaseOptions): ReputationDatabase {
  return asReputationErrors(path, () => {
    // Made with its mode: SQLite gives the files beside it the same one.
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    const connection = openSqlite(path, options.lockMs)
    try {
      // A crash of the machine loses the last commits at worst, and a commit need not wait for the disk.
      connection.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;')
      inTransaction(connection, () => prepareSchema(connection, path))
      return new Database(path, connection, options)
    } catch (error) {
      connection.close()
      throw error
    }
  })
}

/** Which file lies there: another one where somebody put a damaged one aside. Undefined where there is none. */
export function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino
}

/**
 * Moves a damaged database out of the way, unless another process has just done so: then another file than `inode` is there.
 * Returns its new place. Throws ReputationError `unavailable`.
 */
export function setAside(path: string, inode: number | undefined): string {
  return asReputationErrors(path, () => {
    const aside = `${path}${DAMAGED_SUFFIX}`
    if (inodeOf(path) !== inode) return aside
    renameSync(path, aside)
    for (const beside of ['-wal', '-shm']) rmSync(`${path}${beside}`, { force: true })
    return aside
  })
}

/** "VMRP": tells our file from any other of SQLite's. */
const APPLICATION_ID = 0x564d5250
const SCHEMA_VERSION = 1
const SCHEMA = `
  CREATE TABLE providers (
    provider TEXT PRIMARY KEY NOT NULL,
    revision INTEGER NOT NULL,
    worth REAL NOT NULL,
    entry BLOB NOT NULL
  ) STRICT;
  CREATE INDEX providers_revision ON providers (revision);
  CREATE TABLE head (revision INTEGER NOT NULL) STRICT;
  INSERT INTO head VALUES (0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`
/** Of whoever was proved to lie: it makes room last. */
const WORTH_MAX = 1e300

class Database implements ReputationDatabase {
  readonly #path: string
  readonly #connection: DatabaseSync
  readonly #params: ReputationParams
  readonly #read: StatementSync
  readonly #write: StatementSync
  /** The last revision that was read here. */
  #seen: number

  constructor(path: string, connection: DatabaseSync, { params, seen = -1 }: DatabaseOptions) {
    this.#path = path
    this.#connection = connection
    this.#params = params
    this.#seen = seen
    this.#read = connection.prepare('SELECT entry FROM providers WHERE provider = ?')
    this.#write = connection.prepare(
      'INSERT INTO providers (provider, revision, worth, entry) VALUES (?, ?, ?, ?) ON CONFLICT (provider) ' +
        'DO UPDATE SET revision = excluded.revision, worth = excluded.worth, entry = excluded.entry',
    )
  }

  changes(): DatabaseChanges {
    return asReputationErrors(this.#path, () => this.#readChanges())
  }

  merge(since: readonly LedgerEntry[]): DatabaseChanges {
    return this.#change(since, (kept, told) => mergeEntries(kept, told, this.#params))
  }

  join(entries: readonly LedgerEntry[]): DatabaseChanges {
    return this.#change(entries, (kept, told) => joinEntries(kept, told, this.#params))
  }

  close(): void {
    this.#connection.close()
  }

  #change(
    entries: readonly LedgerEntry[],
    combine: (kept: LedgerEntry, told: LedgerEntry) => LedgerEntry,
  ): DatabaseChanges {
    return asReputationErrors(this.#path, () =>
      inTransaction(this.#connection, () => {
        this.#connection.exec('UPDATE head SET revision = revision + 1')
        const revision = this.#headRevision()
        for (const told of entries) {
          const kept = readEntry(this.#read.get(told.provider)?.entry)
          const entry = kept === undefined ? told : combine(kept, told)
          const worth = Math.min(WORTH_MAX, worthOf(entry, entry.classes))
          this.#write.run(entry.provider, revision, worth, encodeEntry(entry))
        }
        this.#prune()
        return this.#readChanges()
      }),
    )
  }

  #readChanges(): DatabaseChanges {
    const head = this.#headRevision()
    if (head === this.#seen) return { entries: [], revision: head, damaged: 0 }
    const entries: LedgerEntry[] = []
    let damaged = 0
    const rows = this.#connection.prepare('SELECT entry FROM providers WHERE revision > ? ORDER BY rowid')
    // A lower head is that of another file: nothing of it is known.
    for (const { entry: bytes } of rows.iterate(head < this.#seen ? -1 : this.#seen)) {
      const entry = readEntry(bytes)
      if (entry === undefined) damaged += 1
      else entries.push(entry)
    }
    this.#seen = head
    return { entries, revision: head, damaged }
  }

  #headRevision(): number {
    return Number(this.#connection.prepare('SELECT revision FROM head').get()?.revision)
  }

  #prune(): void {
    const count = Number(this.#connection.prepare('SELECT count(*) AS count FROM providers').get()?.count)
    const surplus = count - this.#params.providersMax
    if (surplus <= 0) return
    this.#connection
      .prepare(
        'DELETE FROM providers WHERE provider IN (SELECT provider FROM providers ORDER BY worth, revision LIMIT ?)',
      )
      .run(surplus)
  }
}

/** Undefined where the bytes are no entry. */
function readEntry(bytes: unknown): LedgerEntry | undefined {
  if (!(bytes instanceof Uint8Array)) return undefined
  try {
    return decodeEntry(bytes)
  } catch (error) {
    if (error instanceof CodecError) return undefined
    throw error
  }
}

/** Of two processes that begin at the same moment one waits, and finds it begun. */
function prepareSchema(connection: DatabaseSync, path: string): void {
  const version = numberOf(connection, 'user_version')
  const application = numberOf(connection, 'application_id')
  const isEmpty = connection.prepare('SELECT 1 FROM sqlite_schema').get() === undefined
  if (version === 0 && application === 0 && isEmpty) connection.exec(SCHEMA)
  else if (application !== APPLICATION_ID) throw damagedError(path, "it is another program's database")
  else if (version > SCHEMA_VERSION) {
    throw new ReputationError(
      'newer-version',
      `${path} was written by a newer version of verimesh, in a form that this one does not know: update it, or move the file away to begin anew (who was found out is then forgotten)`,
    )
  }
}

function numberOf(connection: DatabaseSync, pragma: 'user_version' | 'application_id'): number {
  return Number(connection.prepare(`PRAGMA ${pragma}`).get()?.[pragma])
}

function asReputationErrors<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    if (cause instanceof ReputationError) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    const code = sqliteCode(cause)
    if (code === SQLITE_CORRUPT || code === SQLITE_NOT_A_DATABASE) throw damagedError(path, why, cause)
    throw new ReputationError('unavailable', `${path} cannot be used: ${why}`, { cause })
  }
}

function damagedError(path: string, why: string, cause?: unknown): ReputationError {
  return new ReputationError('damaged', `${path} is damaged: ${why}`, { cause })
}

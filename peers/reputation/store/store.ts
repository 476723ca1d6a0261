/**
 * What a node knows of others, kept across restarts. It lies in memory, where it is read and added to at once; what was added
 * is written a moment later, by a thread of its own, and what other processes of the same data directory have seen is taken up.
 * A disk that fails costs what a restart then forgets, and nothing else.
 */
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../clock/index.ts'
import type { Log } from '../../host/index.ts'
import { ReputationError } from '../errors.ts'
import type { Evidence } from '../evidence.ts'
import { createLedger, type Ledger, type LedgerEntry } from '../ledger.ts'
import { mergeEntries } from '../merging.ts'
import { REPUTATION_PARAMS, type ReputationParams } from '../params.ts'
import {
  CLOSE_MS,
  FLUSH_MS,
  LOCK_MS,
  READ_LOCK_MS,
  REFRESH_MS,
  REPUTATION_FILE,
  RETRY_MS_MAX,
  RETRY_MS_MIN,
} from './constants.ts'
import { type DatabaseChanges, inodeOf, openDatabase, setAside } from './database.ts'
import { createWriter, type Writer } from './writer.ts'

export interface Reputation {
  /** What this process has seen, what was kept, and, some seconds late, what other processes have seen. */
  readonly ledger: Omit<Ledger, 'record' | 'restore'>
  /** Takes in an observation; never waits. */
  record(evidence: Evidence): void
  /** Resolves when what was recorded is written, or could not be. */
  flush(): Promise<void>
  /** Writes what is left. Nothing is taken in any more. Idempotent; never rejects. */
  close(): Promise<void>
}

export interface ReputationOptions {
  readonly clock: Clock
  readonly log: Log
  readonly params?: ReputationParams
  /** Told of every entry that was written by this process or another, as it is known from then on. */
  readonly onTaken?: (entry: LedgerEntry) => void
}

/**
 * Opens what is kept in `dataDirectory`; nothing is made there before there is something to keep. A damaged file is warned of
 * and set aside; one that cannot be opened is warned of, and tried again. Rejects with ReputationError `newer-version`.
 */
export async function openReputation(dataDirectory: string, options: ReputationOptions): Promise<Reputation> {
  const { log, params = REPUTATION_PARAMS } = options
  const path = join(dataDirectory, REPUTATION_FILE)
  const ledger = createLedger(params)
  const { entries, revision } = loadChanges(path, params, log)
  for (const entry of entries) ledger.restore(entry)
  const writer = createWriter({ path, params, seen: revision })
  return new Store({ ...options, path, ledger, writer, params, stamp: await stampOf(path) })
}

/** What is kept in `dataDirectory`, for commands that only look. Throws ReputationError. */
export function readReputation(dataDirectory: string, params = REPUTATION_PARAMS): Ledger {
  const ledger = createLedger(params)
  for (const entry of readChanges(join(dataDirectory, REPUTATION_FILE), params).entries) ledger.restore(entry)
  return ledger
}

/** Takes in what another machine knew, as `joinEntries` says. Nodes that run on the directory notice. Throws ReputationError. */
export function joinReputation(
  dataDirectory: string,
  entries: readonly LedgerEntry[],
  params = REPUTATION_PARAMS,
): void {
  const database = openDatabase(join(dataDirectory, REPUTATION_FILE), { params, lockMs: LOCK_MS })
  try {
    database.join(entries)
  } finally {
    database.close()
  }
}

const NOTHING: DatabaseChanges = { entries: [], revision: -1, damaged: 0 }

function readChanges(path: string, params: ReputationParams): DatabaseChanges {
  if (!existsSync(path)) return NOTHING
  const database = openDatabase(path, { params, lockMs: READ_LOCK_MS })
  try {
    return database.changes()
  } finally {
    database.close()
  }
}

function loadChanges(path: string, params: ReputationParams, log: Log): DatabaseChanges {
  const inode = inodeOf(path)
  try {
    const changes = readChanges(path, params)
    if (changes.damaged > 0) {
      log.warn(`What ${path} says of ${changes.damaged} providers can't be read: they are newcomers again.`)
    }
    return changes
  } catch (error) {
    if (!(error instanceof ReputationError)) throw error
    switch (error.code) {
      case 'damaged':
        warnOfDamage(log, error.message, setAside(path, inode))
        return NOTHING
      case 'unavailable':
        log.warn(`${error.message}. Everybody is a newcomer until it can be read.`)
        return NOTHING
      case 'newer-version':
      case 'wrong-key':
      case 'too-large':
        throw error
      default:
        return error.code satisfies never
    }
  }
}

function warnOfDamage(log: Log, what: string, aside: string): void {
  log.warn(`${what}. It is kept as ${aside}, and begun anew: whom it knew are newcomers again.`)
}

interface StoreParts extends ReputationOptions {
  readonly path: string
  readonly ledger: Ledger
  readonly writer: Writer
  readonly params: ReputationParams
  /** Of what was read. */
  readonly stamp: string
}

class Store implements Reputation {
  readonly ledger: Ledger
  readonly #parts: StoreParts
  /** What was seen since it was last written. */
  #since: Ledger
  /** Everything is to be told: another file has taken the place of the one that held it. */
  #isTellingAll = false
  /** What the files looked like when this process was last at them. */
  #stamp: string
  #work: Promise<void> = Promise.resolve()
  #failures = 0
  #cancelTick: (() => void) | undefined
  #isClosed = false

  constructor(parts: StoreParts) {
    this.#parts = parts
    this.ledger = parts.ledger
    this.#stamp = parts.stamp
    this.#since = createLedger(parts.params)
    this.#tickAfter(REFRESH_MS)
  }

  record(evidence: Evidence): void {
    if (this.#isClosed) return
    const isFirst = this.#since.size === 0
    this.ledger.record(evidence)
    this.#since.record(evidence)
    if (isFirst && this.#failures === 0) this.#tickAfter(FLUSH_MS)
  }

  flush(): Promise<void> {
    this.#work = this.#work.then(() => this.#write())
    return this.#work
  }

  async close(): Promise<void> {
    if (this.#isClosed) return this.#work
    this.#isClosed = true
    this.#cancelTick?.()
    const { writer } = this.#parts
    // A last write that hangs ends with the thread: then it rejects, and is told of.
    const closed = this.#work.then(() => this.#write())
    let timer: (() => void) | undefined
    const late = new Promise<void>((resolve) => {
      timer = this.#parts.clock.after(CLOSE_MS, resolve)
    })
    await Promise.race([closed, late])
    timer?.()
    await writer.close(CLOSE_MS)
    this.#work = closed
    await closed
  }

  #tickAfter(delayMs: number): void {
    this.#cancelTick?.()
    if (this.#isClosed) return
    this.#cancelTick = this.#parts.clock.after(delayMs, () => {
      this.#work = this.#work.then(() => this.#tick())
    })
  }

  async #tick(): Promise<void> {
    const { path } = this.#parts
    if (this.#since.size > 0 || this.#isTellingAll || (await stampOf(path)) !== this.#stamp)
      await this.#write()
    const isWaiting = this.#since.size > 0 && this.#failures === 0
    const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (this.#failures - 1))
    this.#tickAfter(this.#failures > 0 ? pauseMs : isWaiting ? FLUSH_MS : REFRESH_MS)
  }

  /** Tells what was seen and takes up what others have. Never rejects. */
  async #write(): Promise<void> {
    const { path, writer, params, log } = this.#parts
    const told = [...this.#since.entries()]
    if (told.length === 0 && !this.#isTellingAll && !existsSync(path)) return
    const isAll = this.#isTellingAll
    this.#since = createLedger(params)
    this.#isTellingAll = false
    try {
      const answer = isAll
        ? await writer.ask({ type: 'join', entries: [...this.ledger.entries()] })
        : await writer.ask(told.length === 0 ? { type: 'changes' } : { type: 'merge', entries: told })
      if (answer.type === 'done') this.#take(answer)
      else {
        if (answer.aside !== undefined) warnOfDamage(log, `${path} was damaged`, answer.aside)
        // All that was told before lies in memory too.
        this.#isTellingAll = true
        this.#tickAfter(FLUSH_MS)
      }
      this.#failures = 0
      this.#stamp = await stampOf(path)
    } catch (error) {
      this.#takeBack(told)
      this.#isTellingAll = isAll
      this.#failures = Math.min(this.#failures + 1, 16)
      const why = error instanceof Error ? error.message : String(error)
      if (this.#failures === 1)
        log.warn(`What is learnt of others can't be kept: ${why}. The node goes on, and tries again.`)
    }
  }

  #take({ entries, damaged }: DatabaseChanges): void {
    for (const entry of entries) {
      const later = this.#since.entry(entry.provider)
      const known = later === undefined ? entry : mergeEntries(entry, later, this.#parts.params)
      this.ledger.restore(known)
      this.#parts.onTaken?.(known)
    }
    if (damaged > 0)
      this.#parts.log.warn(`What ${this.#parts.path} says of ${damaged} providers can't be read.`)
  }

  /** It is told the next time, with what was seen meanwhile. */
  #takeBack(told: readonly LedgerEntry[]): void {
    for (const entry of told) {
      const later = this.#since.entry(entry.provider)
      this.#since.restore(later === undefined ? entry : mergeEntries(entry, later, this.#parts.params))
    }
  }
}

/** Something else after each write of whatever process. Reads nothing of the files. */
async function stampOf(path: string): Promise<string> {
  const stamps = [path, `${path}-wal`].map(async (file) => {
    const found = await stat(file, { bigint: true }).catch(() => undefined)
    return found === undefined ? '' : `${found.ino} ${found.size} ${found.mtimeNs}`
  })
  return (await Promise.all(stamps)).join(' ')
}

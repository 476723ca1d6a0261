/**
 * The thread that writes `reputation.db`, so that nothing else waits for the disk or for other processes. It does one thing
 * after the other, and opens the database when it is first needed.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { ReputationError } from '../errors.ts'
import type { LedgerEntry } from '../ledger.ts'
import type { ReputationParams } from '../params.ts'
import { LOCK_MS } from './constants.ts'
import { type DatabaseChanges, inodeOf, openDatabase, type ReputationDatabase, setAside } from './database.ts'

export interface WriterData {
  readonly path: string
  readonly params: ReputationParams
  /** The revision up to which the database was read. */
  readonly seen: number
}

export type WriterAsk =
  | { readonly type: 'changes' }
  | { readonly type: 'merge' | 'join'; readonly entries: readonly LedgerEntry[] }
  | { readonly type: 'close' }

/** One to each ask, in order. */
export type WriterAnswer =
  | ({ readonly type: 'done' } & DatabaseChanges)
  /** Another file lies there than before, perhaps since this one was damaged. Nothing of the ask was done. */
  | { readonly type: 'begunAnew'; readonly aside: string | undefined }
  | { readonly type: 'failed'; readonly code: string; readonly message: string }
  | { readonly type: 'closed' }

if (parentPort !== null) {
  const port = parentPort
  const answer = createWriter(workerData as WriterData)
  port.on('message', (ask: WriterAsk) => port.postMessage(answer(ask)))
}

function createWriter({ path, params, seen }: WriterData): (ask: WriterAsk) => WriterAnswer {
  let database: ReputationDatabase | undefined
  let inode: number | undefined
  /** Of the file that was read before this thread began. */
  let known = seen

  function open(): ReputationDatabase {
    database ??= openDatabase(path, { params, lockMs: LOCK_MS, seen: known })
    inode = inodeOf(path)
    return database
  }

  function close(): void {
    database?.close()
    database = undefined
    known = -1
  }

  function act(ask: Exclude<WriterAsk, { type: 'close' }>): WriterAnswer {
    switch (ask.type) {
      case 'changes':
        return { type: 'done', ...open().changes() }
      case 'merge':
        return { type: 'done', ...open().merge(ask.entries) }
      case 'join':
        return { type: 'done', ...open().join(ask.entries) }
      default:
        return ask satisfies never
    }
  }

  return (ask) => {
    if (ask.type === 'close') {
      close()
      return { type: 'closed' }
    }
    try {
      if (database !== undefined && inodeOf(path) !== inode) {
        close()
        open()
        return { type: 'begunAnew', aside: undefined }
      }
      return act(ask)
    } catch (error) {
      return recover(error)
    }
  }

  function recover(error: unknown): WriterAnswer {
    const failed = (cause: unknown): WriterAnswer => ({
      type: 'failed',
      code: cause instanceof ReputationError ? cause.code : 'unavailable',
      message: cause instanceof Error ? cause.message : String(cause),
    })
    if (!(error instanceof ReputationError) || error.code !== 'damaged') return failed(error)
    try {
      const damaged = database === undefined ? inodeOf(path) : inode
      close()
      const aside = setAside(path, damaged)
      open()
      return { type: 'begunAnew', aside }
    } catch (cause) {
      return failed(cause)
    }
  }
}

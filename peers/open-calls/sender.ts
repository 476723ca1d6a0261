import type { Connection } from '@libp2p/interface'
import { sendOffers } from '../../protocols/open-call/index.ts'
import type { Log } from '../host/index.ts'
import { SENDING_NEIGHBOURS_MAX, SENDING_PER_NEIGHBOUR_MAX } from './constants.ts'

export interface OfferSenderOptions {
  /** The open connection to a neighbour; undefined where there is none. */
  readonly connectionTo: (neighbour: string) => Pick<Connection, 'newStream'> | undefined
  readonly log: Log
}

/** Sends offers to neighbours: one stream to each at a time, with a bounded queue. What finds no room is lost. */
export class OfferSender {
  readonly #options: OfferSenderOptions
  readonly #queues = new Map<string, Uint8Array[]>()

  constructor(options: OfferSenderOptions) {
    this.#options = options
  }

  /** Whether the offer will be sent, as far as one can tell. */
  send(neighbour: string, sealed: Uint8Array): boolean {
    const queue = this.#queues.get(neighbour)
    if (queue !== undefined) {
      if (queue.length >= SENDING_PER_NEIGHBOUR_MAX) return false
      queue.push(sealed)
      return true
    }
    const connection = this.#options.connectionTo(neighbour)
    if (connection === undefined || this.#queues.size >= SENDING_NEIGHBOURS_MAX) return false
    this.#queues.set(neighbour, [sealed])
    this.#drain(neighbour, connection)
    return true
  }

  #drain(neighbour: string, connection: Pick<Connection, 'newStream'>): void {
    const queue = this.#queues.get(neighbour)!
    sendOffers(connection, () => queue.shift())
      .catch((error: unknown) => {
        this.#options.log.debug(`${neighbour} did not take offers: ${String(error)}`)
        // What was not sent would fail likewise.
        queue.length = 0
      })
      .finally(() => {
        const next = queue.length > 0 ? this.#options.connectionTo(neighbour) : undefined
        if (next === undefined) this.#queues.delete(neighbour)
        else this.#drain(neighbour, next)
      })
  }
}

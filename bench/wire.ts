import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** Counts what passes through the TCP sockets of this process, both ways, below TLS, noise and HTTP. */
export interface WireCounter {
  /** Bytes written to and read from all sockets since the counter was made. */
  total(): number
}

/**
 * Must be made before the first connection. Node announces every outgoing and accepted TCP socket on a diagnostics
 * channel, so libraries that open their own sockets (libp2p, undici) are counted in the same way as ours.
 * A TLS socket is counted by the TCP socket beneath it, provided that this one was made by `net.connect`.
 */
export function createWireCounter(): WireCounter {
  const open = new Set<Socket>()
  let closed = 0
  const watch = (message: unknown): void => {
    const { socket } = message as { socket: Socket }
    open.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      closed += carried(socket)
    })
  }
  subscribe('net.client.socket', watch)
  subscribe('net.server.socket', watch)
  return {
    total() {
      let sum = closed
      for (const socket of open) sum += carried(socket)
      return sum
    },
  }
}

function carried(socket: Socket): number {
  return socket.bytesRead + socket.bytesWritten
}

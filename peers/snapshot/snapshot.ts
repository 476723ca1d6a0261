import { readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { PeerView } from '../book/index.ts'
import { replaceFile } from '../files/index.ts'
import type { Log } from '../host/index.ts'
import {
  ADDRESS_LENGTH_MAX,
  DAMAGED_SUFFIX,
  REMEMBERED_ADDRESSES_MAX,
  REMEMBERED_PEERS_MAX,
  SNAPSHOT_BYTES_MAX,
  SNAPSHOT_FILE,
} from './constants.ts'

export interface RememberedPeer {
  readonly peerId: PeerId
  readonly multiaddrs: readonly Multiaddr[]
}

/**
 * Peers of an earlier run, best first, so that a client starts without `--bootstrap`. A file that is missing gives
 * none; one that is damaged gives none, is kept aside as `peers.json.damaged`, and `log` is warned: the mesh can be
 * found again, so this never keeps a node from starting.
 */
export async function loadPeers(dataDirectory: string, log: Log): Promise<RememberedPeer[]> {
  const path = join(dataDirectory, SNAPSHOT_FILE)
  try {
    const { size } = await stat(path)
    if (size > SNAPSHOT_BYTES_MAX) throw new Error(`it is ${size} bytes long`)
    return parsePeers(await readFile(path, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    await keepAside(path, error, log)
    return []
  }
}

/**
 * Writes who is worth dialling the next time: connected peers first, then those that gave results, then the rest that
 * has an address. Rejects with the file system's error; the old file stays then.
 */
export async function savePeers(dataDirectory: string, peers: readonly PeerView[]): Promise<void> {
  const remembered = peers
    .filter((peer) => peer.addresses.length > 0)
    .toSorted((left, right) => worth(right) - worth(left))
    .slice(0, REMEMBERED_PEERS_MAX)
    .map(({ peerId, addresses }) => ({ peerId, multiaddrs: addresses.slice(0, REMEMBERED_ADDRESSES_MAX) }))
  const text = `${JSON.stringify({ version: 1, peers: remembered }, undefined, 2)}\n`
  await replaceFile(join(dataDirectory, SNAPSHOT_FILE), new TextEncoder().encode(text), 0o600)
}

function worth({ connected, results, disagreed, models }: PeerView): number {
  return (connected ? 4 : 0) + (results > disagreed ? 2 : 0) + (models.length > 0 ? 1 : 0)
}

function parsePeers(text: string): RememberedPeer[] {
  const parsed: unknown = JSON.parse(text)
  if (!isRecord(parsed) || parsed.version !== 1 || !Array.isArray(parsed.peers)) {
    throw new Error('it is no list of peers')
  }
  return parsed.peers.slice(0, REMEMBERED_PEERS_MAX).map((peer: unknown) => {
    if (!isRecord(peer) || typeof peer.peerId !== 'string' || !Array.isArray(peer.multiaddrs)) {
      throw new Error('an entry is no peer')
    }
    const multiaddrs = peer.multiaddrs.slice(0, REMEMBERED_ADDRESSES_MAX).map((address: unknown) => {
      if (typeof address !== 'string' || address.length > ADDRESS_LENGTH_MAX)
        throw new Error('an address is no text')
      return multiaddr(address)
    })
    return { peerId: peerIdFromString(peer.peerId), multiaddrs }
  })
}

async function keepAside(path: string, error: unknown, log: Log): Promise<void> {
  const reason = error instanceof Error ? error.message : String(error)
  const aside = `${path}${DAMAGED_SUFFIX}`
  try {
    await rename(path, aside)
    log.warn(
      `The remembered peers in ${path} can't be used (${reason}); kept as ${aside}. Starting without them.`,
    )
  } catch (renameError) {
    log.warn(
      `The remembered peers in ${path} can't be used (${reason}), nor moved (${String(renameError)}). Starting without them.`,
    )
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

import type { PeerDiscovery, PeerInfo, PeerStore } from '@libp2p/interface'
import type { MulticastDNSComponents } from '@libp2p/mdns'
import { MDNS_SERVICE, NEIGHBOUR_CONNECTIONS_MAX } from './constants.ts'

/** What this needs of a host; the host does not exist yet when its discovery is made. */
interface Dialler {
  getPeers(): readonly unknown[]
  dial(peer: PeerInfo['id']): Promise<unknown>
}

/**
 * Finds neighbours on the local network by multicast DNS and connects to them: libp2p only reports whom it discovers.
 * `host` is asked when a neighbour is seen. Whoever is on this network can make us dial, so the number is bounded.
 */
export async function createNeighbours(
  host: () => Dialler,
): Promise<(components: MulticastDNSComponents & { peerStore: PeerStore }) => PeerDiscovery> {
  // Loaded only here: most processes need neither its DNS parser nor its sockets.
  const { mdns } = await import('@libp2p/mdns')
  return (components) => {
    const discovery = mdns({ serviceTag: MDNS_SERVICE })(components)
    const log = components.logger.forComponent('verimesh:neighbours')
    const dialling = new Set<string>()
    discovery.addEventListener('peer', ({ detail: { id, multiaddrs } }) => {
      const key = id.toString()
      if (dialling.has(key) || host().getPeers().length + dialling.size >= NEIGHBOUR_CONNECTIONS_MAX) return
      dialling.add(key)
      components.peerStore
        .merge(id, { multiaddrs })
        .then(() => host().dial(id))
        .catch((error: unknown) => log('neighbour %p can not be reached - %e', id, error))
        .finally(() => dialling.delete(key))
    })
    return discovery
  }
}

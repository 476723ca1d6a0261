import { OFFER_MULTIADDR_BYTES_MAX, OFFER_MULTIADDRS_MAX } from '../../protocols/open-call/index.ts'
import { OFFERED_ADDRESSES_BYTES_MAX } from './constants.ts'

/** As many of a node's own addresses as one offer holds. */
export function offerableAddresses(own: readonly string[]): string[] {
  const fitting: string[] = []
  let bytes = 0
  for (const address of own) {
    const length = Buffer.byteLength(address)
    if (fitting.length >= OFFER_MULTIADDRS_MAX) break
    if (length > OFFER_MULTIADDR_BYTES_MAX || bytes + length > OFFERED_ADDRESSES_BYTES_MAX) continue
    fitting.push(address)
    bytes += length
  }
  return fitting
}

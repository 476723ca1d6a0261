import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { MULTIADDRS_MAX } from '../../protocols/announcement/index.ts'
import { ANNOUNCED_ADDRESS_LENGTH_MAX, ANNOUNCED_ADDRESSES_LENGTH_MAX } from './constants.ts'

/**
 * The announced addresses that may be dialled: those that parse and don't lead to another peer than the author. Each
 * ends in the author's peer id. What does not parse may be a transport that came after this version, so it is left
 * out and nobody is blamed.
 */
export function dialableAddresses(author: string, announced: readonly string[]): string[] {
  return announced.flatMap((text) => {
    const address = parse(text)
    if (address === undefined) return []
    const named = address.getComponents().findLast((component) => component.name === 'p2p')?.value
    if (named === undefined) return [`${address}/p2p/${author}`]
    return named === author ? [address.toString()] : []
  })
}

function parse(text: string): Multiaddr | undefined {
  try {
    return multiaddr(text)
  } catch {
    return undefined
  }
}

/** As many of a node's own addresses as one announcement holds. */
export function announceableAddresses(own: readonly string[]): string[] {
  const fitting: string[] = []
  let length = 0
  for (const address of own) {
    if (fitting.length >= MULTIADDRS_MAX) break
    if (address.length > ANNOUNCED_ADDRESS_LENGTH_MAX) continue
    if (length + address.length > ANNOUNCED_ADDRESSES_LENGTH_MAX) continue
    fitting.push(address)
    length += address.length
  }
  return fitting
}

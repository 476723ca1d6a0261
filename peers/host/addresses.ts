import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { BOOTSTRAPS_MAX } from './constants.ts'
import { HostError } from './errors.ts'

/** Parses addresses that a person gave. Throws HostError `invalid-multiaddr`, naming the address and the right form. */
export function parseMultiaddrs(
  addresses: readonly string[],
  purpose: 'listen' | 'announce' | 'bootstrap',
): Multiaddr[] {
  if (purpose === 'bootstrap' && addresses.length > BOOTSTRAPS_MAX) {
    throw new HostError(
      'too-many-bootstraps',
      `${addresses.length} bootstrap addresses were given; ${BOOTSTRAPS_MAX} at most are used. One that answers is enough.`,
    )
  }
  return addresses.map((address) => {
    let parsed: Multiaddr
    try {
      parsed = multiaddr(address)
    } catch (error) {
      throw invalid(address, purpose, 'it does not parse', error)
    }
    const names = parsed.getComponents().map((component) => component.name)
    if (names.length === 0) throw invalid(address, purpose, 'it is empty')
    if (names.includes('p2p-circuit') || names.includes('ws') || names.includes('quic-v1')) {
      throw invalid(address, purpose, 'this node speaks plain TCP only')
    }
    const resolvable = purpose === 'bootstrap' && names[0] === 'dnsaddr'
    if (!names.includes('tcp') && !resolvable) throw invalid(address, purpose, 'it names no TCP port')
    return parsed
  })
}

function invalid(address: string, purpose: string, why: string, cause?: unknown): HostError {
  const example =
    purpose === 'listen'
      ? '/ip4/0.0.0.0/tcp/4001'
      : '/ip4/203.0.113.7/tcp/4001/p2p/12D3KooW... (or /dns4/NAME/tcp/4001)'
  return new HostError(
    'invalid-multiaddr',
    `"${address}" is no address to ${purpose === 'bootstrap' ? 'bootstrap from' : `${purpose} on`}: ${why}. ` +
      `A valid one looks like ${example}.`,
    { cause },
  )
}

/** Whether addresses that many share (loopback, private networks) say anything about who owns a key. */
export interface GroupOptions {
  /** True: a peer at a loopback or private address is a group of its own. */
  readonly exemptPrivate: boolean
}

/**
 * The address group of a multiaddress: `ip4:a.b.c` (a /24), `ip6:x:x:x` (a /48), `dns:name`; undefined for an exempt
 * address or one without a host. An IPv4 address mapped into IPv6 is an IPv4 address.
 */
export function addressGroup(multiaddr: string, options: GroupOptions): string | undefined {
  const [, protocol, host] = multiaddr.split('/')
  if (host === undefined || host === '') return undefined
  switch (protocol) {
    case 'ip4':
      return groupOfIpv4(host, options)
    case 'ip6':
      return groupOfIpv6(host, options)
    case 'dns':
    case 'dns4':
    case 'dns6':
    case 'dnsaddr':
      return `dns:${host.toLowerCase()}`
    default:
      return undefined
  }
}

function groupOfIpv4(host: string, { exemptPrivate }: GroupOptions): string | undefined {
  const bytes = ipv4Bytes(host)
  if (bytes === undefined) return undefined
  const [a = 0, b = 0, c = 0] = bytes
  if (exemptPrivate && isPrivateIpv4(a, b)) return undefined
  return `ip4:${a}.${b}.${c}`
}

function groupOfIpv6(host: string, options: GroupOptions): string | undefined {
  const words = ipv6Words(host)
  if (words === undefined) return undefined
  const [first = 0, second = 0, third = 0] = words
  const isMapped = words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff
  if (isMapped) {
    const [high = 0, low = 0] = words.slice(6)
    return groupOfIpv4(`${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`, options)
  }
  const isLoopback = words.slice(0, 7).every((word) => word === 0) && words[7] === 1
  const isUniqueLocal = (first & 0xfe00) === 0xfc00
  const isLinkLocal = (first & 0xffc0) === 0xfe80
  if (options.exemptPrivate && (isLoopback || isUniqueLocal || isLinkLocal)) return undefined
  return `ip6:${first.toString(16)}:${second.toString(16)}:${third.toString(16)}`
}

/** RFC 1918, loopback, link-local (RFC 3927) and the shared space of carriers (RFC 6598). */
function isPrivateIpv4(a: number, b: number): boolean {
  if (a === 10 || a === 127) return true
  if (a === 172) return b >= 16 && b < 32
  if (a === 192) return b === 168
  if (a === 169) return b === 254
  return a === 100 && b >= 64 && b < 128
}

function ipv4Bytes(host: string): number[] | undefined {
  const parts = host.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part))) return undefined
  const bytes = parts.map(Number)
  return bytes.every((byte) => byte <= 255) ? bytes : undefined
}

function ipv6Words(host: string): number[] | undefined {
  const halves = host.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map(wordsOf)
  if (head === undefined) return undefined
  if (halves.length === 1) return head.length === 8 ? head : undefined
  if (tail === undefined || head.length + tail.length > 7) return undefined
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

function wordsOf(text: string): number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  const last = parts.at(-1) ?? ''
  const embedded = last.includes('.') ? ipv4Bytes(last) : undefined
  if (last.includes('.')) {
    if (embedded === undefined) return undefined
    parts.pop()
  }
  if (!parts.every((part) => /^[\da-f]{1,4}$/i.test(part))) return undefined
  const words = parts.map((part) => Number.parseInt(part, 16))
  const [a = 0, b = 0, c = 0, d = 0] = embedded ?? []
  return embedded === undefined ? words : [...words, (a << 8) | b, (c << 8) | d]
}

import type { Standing } from '../../peers/reputation/index.ts'
import type { PeerStatus } from './node.ts'

/** Somebody who is remembered for its answers, and is not about. */
export function absentPeer(standing: Standing, exposed: boolean): PeerStatus {
  return {
    peerId: standing.provider,
    addresses: [],
    connected: false,
    rttMs: undefined,
    models: [],
    results: 0,
    disagreed: 0,
    exposed,
    standing: briefly(standing),
  }
}

/** Without what is long: a list of a thousand peers has to fit into one answer. */
export function briefly(standing: Standing | undefined): PeerStatus['standing'] {
  if (standing === undefined) return undefined
  const { name, saboteur, reasons } = standing
  return { name, saboteur, reasons }
}

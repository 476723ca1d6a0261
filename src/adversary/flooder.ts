import type { Flooder } from './attacks.ts'
import { pick } from './pick.ts'

export interface FlooderInit {
  readonly request: Flooder['request']
  /** Above 0, over all victims and keys. */
  readonly requestsPerSecond: number
  /** At least one. */
  readonly keys: number
  /** Whom it floods, each as often as the others. At least one. */
  readonly victims: readonly string[]
}

/**
 * Models who drowns providers in requests (Daswani and Garcia-Molina, Query-flood DoS attacks in Gnutella, 2002), from one
 * key or from many. Shows that a provider says `busy` at once rather than letting a queue grow, that others' jobs go on
 * within a peer's budget, and that being busy is no evidence against the victim.
 */
export function createFlooder({ request, requestsPerSecond, keys, victims }: FlooderInit): Flooder {
  return {
    kind: 'flooder',
    request,
    requestsPerSecond,
    keys,
    next: (random) => ({
      // 1 - next() is above 0, so the wait is finite.
      afterMs: (-Math.log(1 - random.next()) / requestsPerSecond) * 1000,
      key: Math.floor(random.next() * keys),
      victim: pick(victims, random),
    }),
  }
}

import type { Conduct } from '../conduct.ts'

/**
 * Models the provider that announces another load than it has: below 1 it draws jobs as a sinkhole draws packets (Karlof
 * and Wagner, Secure routing in wireless sensor networks, 2003), above 1 it has others do its share. Shows that announced
 * load and speed are claims, which a measured time soon outweighs.
 *
 * `conduct` is what it does with the jobs. Announcing is not answering: around an honest conduct it stays honest, and may
 * never be condemned.
 */
export function createBoaster(announcedFactor: number, conduct: Conduct): Conduct {
  return { ...conduct, announcedFactor }
}

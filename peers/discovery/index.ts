export type { Discovery, DiscoveryOptions, FoundProvider } from './discovery.ts'
export { createDiscovery } from './discovery.ts'
export type { DiscoveryErrorCode } from './errors.ts'
export { DiscoveryError } from './errors.ts'

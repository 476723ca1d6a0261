export { SNAPSHOT_FILE } from './constants.ts'
export type { RememberedPeer } from './snapshot.ts'
export { loadPeers, savePeers } from './snapshot.ts'

/** Inside the data directory. */
export const SNAPSHOT_FILE = 'peers.json'
/** Where a file that can't be read is kept aside. One only, so that a recurring fault fills no disk. */
export const DAMAGED_SUFFIX = '.damaged'
/** Enough to find the mesh again; the best come first. */
export const REMEMBERED_PEERS_MAX = 64
export const REMEMBERED_ADDRESSES_MAX = 8
/** 64 peers with 8 long addresses each stay below it; a longer file is not ours. */
export const SNAPSHOT_BYTES_MAX = 512 << 10
/** Longest multiaddress that is kept, in characters. */
export const ADDRESS_LENGTH_MAX = 400

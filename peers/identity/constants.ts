/** Inside the data directory: the private key as a libp2p protobuf. */
export const IDENTITY_FILE = 'identity.key'

/** The key is secret: its owner only. */
export const IDENTITY_FILE_MODE = 0o600

/** An Ed25519 key takes 68 bytes; anything much longer is not one and need not be read. */
export const IDENTITY_FILE_BYTES_MAX = 1024

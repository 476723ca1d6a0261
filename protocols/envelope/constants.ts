/** A sealed receipt has about 300 bytes and a bundle's record some KiB for each receipt; 1 MiB bounds what is hashed. */
export const ENVELOPE_BYTES_MAX = 1024 * 1024
/** Our payload types have about 20 bytes; multicodec prefixes have fewer. */
export const PAYLOAD_TYPE_BYTES_MAX = 128
/**
 * Public keys kept ready to verify with. Making one costs 20 us beside 60 us of verifying, so it is worth keeping
 * those in use; a mesh seen from one node has hundreds of peers.
 */
export const KEY_CACHE_MAX = 1024
/** Ed25519 (RFC 8032). */
export const SIGNATURE_BYTES = 64

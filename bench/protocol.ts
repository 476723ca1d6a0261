/** What the HTTP servers of the bench and their clients agree on. */
export const HOST = '127.0.0.1'
export const PATH = '/infer'
/** Dimensions of the input, separated by commas: the body is the tensor's bytes and nothing else. */
export const SHAPE_HEADER = 'x-shape'
/** Base64 SHA-256 of the body, both ways; only over HTTPS. */
export const DIGEST_HEADER = 'x-sha256'

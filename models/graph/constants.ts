/** Protobuf cannot hold a message of 2 GiB and more; larger models keep their weights in external data. */
export const MODEL_BYTES_MAX = 2 ** 31 - 1

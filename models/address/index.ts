export {
  addressDirectory,
  type DirectoryAddress,
  type DirectoryFile,
  isAddress,
  parseAddress,
} from './address.ts'
export { verifyDirectoryBlocks } from './blocks.ts'
export { DIRECTORY_BLOCKS_BYTES_MAX, DIRECTORY_BLOCKS_MAX } from './constants.ts'
export { AddressError, type AddressErrorCode } from './errors.ts'

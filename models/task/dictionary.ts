import { DICTIONARY_BYTES_MAX, DICTIONARY_KEYS_MAX } from './constants.ts'
import { TaskError } from './errors.ts'

/** The class that stands for "nothing new here" in connectionist temporal classification. */
export const BLANK = 0

/**
 * The character of each class of a recognition network, from the bytes of a PP-OCR key file: class 0 is the blank
 * (here an empty string), then one class a line of the file, and a space at the end.
 * Throws TaskError `malformed-task-file`.
 */
export function parseDictionary(file: Uint8Array): readonly string[] {
  if (file.byteLength > DICTIONARY_BYTES_MAX) malformed(`it has more than ${DICTIONARY_BYTES_MAX} bytes`)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(file)
  } catch (cause) {
    malformed('it is not UTF-8', cause)
  }
  const keys = text.split(/\r?\n/)
  if (keys.at(-1) === '') keys.pop()
  if (keys.length === 0 || keys.length > DICTIONARY_KEYS_MAX) malformed(`it has ${keys.length} lines`)
  return ['', ...keys, ' ']
}

function malformed(why: string, cause?: unknown): never {
  throw new TaskError('malformed-task-file', `the dictionary can't be used: ${why}`, { cause })
}

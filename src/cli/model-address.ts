import { isAddress, parseAddress } from '../../models/address/index.ts'
import { CATALOGUE, sourceOf } from '../../models/catalogue/index.ts'
import type { ModelStore } from '../../models/store/index.ts'
import { CommandError } from './failure.ts'
import { dataOption } from './options.ts'

/**
 * The address behind what a person typed: an address itself, a name given with `models add --name`, or a name of the
 * catalogue. Throws CommandError `unknown-model`, or `malformed-address` for what was meant as an address.
 */
export function resolveModel(text: string, store: ModelStore): string {
  if (isAddress(text)) return text
  const stored = store.resolve(text)
  if (stored !== undefined) return stored.cid
  const entry = CATALOGUE.find(({ name }) => name === text)
  if (entry !== undefined) return entry.cid
  verifyMeantAddress(text)
  const names = [...store.list().map(({ name }) => name), ...CATALOGUE.map(({ name }) => name)]
  throw new CommandError(
    'unknown-model',
    `no model is called "${text}". Known names: ${[...new Set(names)].join(', ')}. Give one of these, an address ` +
      '(it begins with "baf"), or add the model first: verimesh models add SOURCE',
  )
}

/** A CID has at least so many characters; a name that begins like one is shorter. */
const ADDRESS_CHARACTERS_MIN = 40

/** Throws CommandError `malformed-address` for what begins and goes on like an address and is none. */
export function verifyMeantAddress(text: string): void {
  if (!/^(baf|Qm)[A-Za-z0-9]+$/.test(text) || text.length < ADDRESS_CHARACTERS_MIN) return
  try {
    parseAddress(text)
  } catch (cause) {
    throw new CommandError(
      'malformed-address',
      `"${text}" was meant as the address of a model and is none: a character is wrong, missing or too many. Copy it whole, ` +
        'or give a name: verimesh models list',
      { cause },
    )
  }
}

/** The command that puts a model onto this machine; what to add is SOURCE where the catalogue does not know the model. */
export function addCommand(cid: string, data: string): string {
  return `verimesh models add ${sourceOf(cid)}${dataOption(data)}`
}

import { isAddress } from '../../models/address/index.ts'
import { CATALOGUE } from '../../models/catalogue/index.ts'
import type { ModelStore } from '../../models/store/index.ts'
import { CommandError } from './failure.ts'

/**
 * The address behind what a person typed: an address itself, a name given with `models add --name`, or a name of the
 * catalogue. Throws CommandError `unknown-model`.
 */
export function resolveModel(text: string, store: ModelStore): string {
  if (isAddress(text)) return text
  const stored = store.resolve(text)
  if (stored !== undefined) return stored.cid
  const entry = CATALOGUE.find(({ name }) => name === text)
  if (entry !== undefined) return entry.cid
  const names = [...store.list().map(({ name }) => name), ...CATALOGUE.map(({ name }) => name)]
  throw new CommandError(
    'unknown-model',
    `no model is called "${text}". Known names: ${[...new Set(names)].join(', ')}. Give one of these, an address ` +
      '(it begins with "baf"), or add the model first: verimesh models add SOURCE',
  )
}

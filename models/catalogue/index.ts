export { CATALOGUE, type CatalogueEntry, catalogueEntry } from './catalogue.ts'
export { type CatalogueImportOptions, importCatalogueEntry } from './entry.ts'

/** What comes out of a simulation, as files: a page with plots, a table, and results for other programs. Pure. */
export { renderCsv } from './csv.ts'
export { renderJson } from './json.ts'
export { renderReport } from './page.ts'
export { type Bound, REPETITION, type ReportInput, type Span } from './study.ts'

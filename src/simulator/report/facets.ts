/** How the points of a scenario are spread over small multiples: which of f, s, c lies along the axis, across, down. */
import { figure } from './figures.ts'
import { evenly, type Point, type Study } from './study.ts'

/** What a point of a scenario is made of. */
export type Dimension = 'f' | 's' | 'c'

/** What each dimension is, for axes and captions. */
export const DIMENSION_NAMES: Readonly<Record<Dimension, string>> = {
  f: 'fraction of saboteurs f',
  s: 'rate at which they lie s',
  c: 'fraction of them that collude c',
}

/** Which panels there are. */
export interface Facets {
  /** Columns from left to right, rows from top to bottom. */
  readonly column: Dimension
  readonly row: Dimension
  readonly columns: readonly number[]
  readonly rows: readonly number[]
  /** The dimension that is neither. */
  readonly within: Dimension
  readonly withins: readonly number[]
  /** Whether there are values of the columns or rows that have no panel. */
  readonly thinned: boolean
}

const COLUMNS_MAX = 5
const ROWS_MAX = 8

/** Facets of the study with `within` in every panel; the other two are spread over columns and rows. */
export function facetsOf(study: Study, within: Dimension): Facets {
  const others = (['f', 's', 'c'] as const).filter((name) => name !== within)
  // f across, as the literature has it, unless it would be too wide.
  const [first, second] = [others[0]!, others[1]!]
  const turned = study[first].length > COLUMNS_MAX && study[second].length <= COLUMNS_MAX
  // A single column of many rows would waste the width.
  const lone = study[first].length === 1 && study[second].length <= COLUMNS_MAX
  const [column, row] = turned || lone ? [second, first] : [first, second]
  const columns = evenly(study[column], COLUMNS_MAX)
  const rows = evenly(study[row], ROWS_MAX)
  return {
    column,
    row,
    columns,
    rows,
    within,
    withins: study[within],
    thinned: columns.length < study[column].length || rows.length < study[row].length,
  }
}

/** The dimension with the most values: it suits an axis; s before c before f where they have as many. */
export function widest(study: Study): Dimension {
  const names = ['s', 'c', 'f'] as const
  return names.reduce<Dimension>((best, name) => (study[name].length > study[best].length ? name : best), 's')
}

/** One panel, and which points belong to it. */
export interface Facet {
  readonly columnValue: number
  readonly rowValue: number
  holds(point: Point): boolean
}

/** One for each panel, row by row. */
export function eachFacet({ column, row, columns, rows }: Facets): readonly Facet[] {
  return rows.flatMap((rowValue) =>
    columns.map((columnValue) => ({
      columnValue,
      rowValue,
      holds: (point: Point) => point[column] === columnValue && point[row] === rowValue,
    })),
  )
}

/** `columns: fraction of saboteurs f; rows: ...`, for a caption; empty where there is one panel. */
export function describeFacets({ column, row, columns, rows, thinned }: Facets): string {
  const parts = [
    ...(columns.length > 1 ? [`columns: ${DIMENSION_NAMES[column]}`] : []),
    ...(rows.length > 1 ? [`rows: ${DIMENSION_NAMES[row]}`] : []),
  ]
  if (parts.length === 0) return ''
  return ` (${parts.join('; ')}${thinned ? '; not every value has a panel' : ''})`
}

/** `f = 0.1`. */
export function dimensionLabel(dimension: Dimension, value: number): string {
  return `${dimension} = ${figure(value)}`
}

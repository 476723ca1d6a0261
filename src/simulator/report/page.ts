/** The report as one page that needs nothing else: no server, no script, no font from elsewhere. */
import { createHash } from 'node:crypto'
import { count } from './figures.ts'
import { type Child, element, Markup, shortened, together } from './markup.ts'
import { errorByPoint, executionsByPoint } from './plots/by-point.ts'
import { comparison } from './plots/comparison.ts'
import type { Figure } from './plots/figure.ts'
import { frontier } from './plots/frontier.ts'
import { latency } from './plots/latency.ts'
import { load } from './plots/load.ts'
import { standing } from './plots/standing.ts'
import { sweeps } from './plots/sweep.ts'
import { timeline } from './plots/timeline.ts'
import { SCRIPT } from './script.ts'
import { createStudy, GROUPS_MAX, type ReportInput, type Study } from './study.ts'
import { STYLE } from './style.ts'
import { rowsTable, summaryTable } from './tables.ts'

/**
 * The report of a simulation as HTML that is well-formed XML, too. The same input gives the same bytes. Which plots it
 * has follows from what the rows and series hold; each row is in the table.
 */
export function renderReport(input: ReportInput): string {
  const study = createStudy(input)
  const figures = figuresOf(study)
  const page = element(
    'html',
    { lang: 'en' },
    head(input),
    element(
      'body',
      {},
      element(
        'main',
        {},
        opening(study),
        study.rows.length === 0
          ? element('p', {}, 'No run was made: there is nothing to show.')
          : summary(study),
        figures.length === 0 ? undefined : contents(figures),
        study.groups.length > 1 ? highlight(study) : undefined,
        figures.map((drawn, index) => shown(drawn, index + 1)),
        study.rows.length === 0 ? undefined : rowsTable(study),
      ),
      element('script', {}, new Markup(SCRIPT)),
    ),
  )
  return `<!DOCTYPE html>\n${page.source}\n`
}

function figuresOf(study: Study): readonly Figure[] {
  return [
    errorByPoint(study),
    executionsByPoint(study),
    frontier(study),
    ...sweeps(study),
    comparison(study),
    timeline(study),
    standing(study),
    latency(study),
    load(study),
  ].filter((drawn) => drawn !== undefined)
}

/** The policy of the page lets nothing be loaded and no script run but the one of this page, whatever a name may hold. */
function head({ title }: ReportInput): Markup {
  const digest = createHash('sha256').update(SCRIPT).digest('base64')
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'`
  return element(
    'head',
    {},
    element('meta', { charset: 'utf-8' }),
    element('meta', { 'http-equiv': 'Content-Security-Policy', content: policy }),
    element('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
    element('title', {}, `${title} - Verimesh simulation`),
    element('style', {}, new Markup(STYLE)),
  )
}

function opening({ input, rows, groups, points, jobs }: Study): Markup {
  const { scenario, seed, version } = input.results
  const fact = (name: string, value: string): Markup =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value))
  return element(
    'header',
    {},
    element('p', { class: 'kind' }, 'Verimesh simulation'),
    element('h1', {}, input.title),
    element('p', { class: 'purpose' }, 'To see whether this holds: ', input.purpose),
    element(
      'dl',
      {},
      fact('scenario', scenario),
      fact('seed', String(seed)),
      fact('version', version),
      fact('runs', count(rows.length)),
      fact('policies', count(new Set(groups.map(({ policy }) => policy)).size)),
      fact('points', count(points.length)),
      fact('jobs a run', count(jobs)),
    ),
    element('pre', { title: 'Gives the same bytes again' }, element('code', {}, input.command)),
  )
}

function summary(study: Study): Markup {
  return element(
    'section',
    { id: 'summary' },
    element('h2', {}, 'What came of it'),
    element(
      'p',
      { class: 'kind' },
      'Error is wrong answers at the moment they were served over jobs. f: fraction of saboteurs; s: rate at which they lie; c: fraction of them that collude.',
    ),
    summaryTable(study),
  )
}

function contents(figures: readonly Figure[]): Markup {
  return element(
    'nav',
    { 'aria-label': 'Figures' },
    figures.map(({ id, title }, index) =>
      element('a', { href: `#${id}` }, `${index + 1}. ${shortened(title, 60)}`),
    ),
    element('a', { href: '#rows' }, 'All rows'),
  )
}

/** One policy among the others, by style alone. */
function highlight({ groups }: Study): Markup {
  const choice = (id: string, label: Child, checked: boolean): Markup =>
    element(
      'label',
      {},
      element('input', { type: 'radio', name: 'only', id, checked: checked ? 'checked' : undefined }),
      element('span', {}, label),
    )
  return element(
    'fieldset',
    {},
    element('legend', {}, 'Highlight'),
    choice('all', 'all', true),
    groups
      .slice(0, GROUPS_MAX)
      .map(({ index, label }) => choice(`only-${index}`, shortened(label, 40), false)),
  )
}

function shown({ id, title, caption, drawing }: Figure, number: number): Markup {
  return element(
    'figure',
    { id },
    element('figcaption', {}, element('h2', {}, `Figure ${number}. ${title}`), element('p', {}, caption)),
    element('div', { class: 'scroll' }, together(drawing)),
  )
}

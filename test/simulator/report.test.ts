import { createHash } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createRandom } from '../../src/routing/index.ts'
import { type ReportInput, renderReport } from '../../src/simulator/report/index.ts'
import type { ResultRow } from '../../src/simulator/results.ts'
import {
  boxOf,
  cellsOf,
  figureOf,
  heightAt,
  linearAt,
  type Mark,
  marksOf,
  numbersOf,
  svgOf,
  tableOf,
  ticksBeneath,
  ticksBeside,
} from '../fixtures/drawn.ts'
import {
  syntheticGrid,
  syntheticPartition,
  syntheticRow,
  syntheticSeries,
  syntheticSweep,
} from '../fixtures/simulated-results.ts'
import { type Element, everything, hasClass, readMarkup, textOf, within } from '../fixtures/well-formed.ts'

const grid = syntheticGrid()

/** Breaks out of text, attributes, scripts, styles and paths, where it is let. */
const HOSTILE = `</title></text></script><script>alert(1)</script><img src=x onerror=alert(1)>" onload='x' &amp; ]]> \u0000\u001b[2J\u202e\ud800`

const HOSTILE_INPUT: ReportInput = {
  ...grid,
  title: HOSTILE,
  purpose: HOSTILE,
  command: HOSTILE,
  results: {
    scenario: HOSTILE,
    seed: 1,
    version: HOSTILE,
    rows: grid.results.rows.map((row) => ({
      ...row,
      policy: `${row.policy}${HOSTILE}`,
      parameters: { [HOSTILE]: HOSTILE, plain: row.f * 10 },
    })),
  },
  series: grid.series.map((run) => ({ ...run, policy: `${run.policy}${HOSTILE}` })),
  spans: [{ fromMs: 1, untilMs: 400_000, label: HOSTILE }],
}

const EMPTY_INPUT: ReportInput = {
  ...grid,
  results: { ...grid.results, rows: [] },
  series: [],
  bounds: [],
}

const INPUTS: Readonly<Record<string, ReportInput>> = {
  grid,
  partition: syntheticPartition(),
  sweep: syntheticSweep(),
  hostile: HOSTILE_INPUT,
  empty: EMPTY_INPUT,
}

const pages = new Map(Object.entries(INPUTS).map(([name, input]) => [name, readMarkup(renderReport(input))]))
const page = pages.get('grid')!

test('the same input gives the same bytes, in whatever order its fields were set', () => {
  const turned = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(turned)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, inner]) => [key, turned(inner)]),
    )
  }
  for (const [name, input] of Object.entries(INPUTS)) {
    const first = renderReport(input)
    assert.ok(first === renderReport(structuredClone(input)), `${name}: rendered twice`)
    assert.ok(first === renderReport(turned(input) as ReportInput), `${name}: fields turned round`)
  }
  assert.ok(renderReport(grid) !== renderReport(syntheticGrid(2)), 'another input gives other bytes')
})

test('the whole page is well-formed, plots included, whatever the names are', () => {
  for (const [name, root] of pages) {
    assert.is(root.name, 'html', name)
    const ids = everything(root).flatMap(({ attributes }) => attributes.id ?? [])
    assert.is(new Set(ids).size, ids.length, `${name}: an id is there twice`)
  }
})

test('the reader of these tests refuses what is not well-formed', () => {
  for (const broken of [
    '<a><b></a></b>',
    '<a',
    '<a>',
    '<a b=c></a>',
    '<a b="1" b="2"/>',
    '<a>&</a>',
    '<a>\u0001</a>',
    '<a/><a/>',
  ])
    assert.throws(() => readMarkup(broken), undefined, broken)
  assert.is(textOf(readMarkup('<a b="1">&#60;<b/>x</a>')), '<x')
})

test('no name of a scenario becomes markup', () => {
  const plain = everything(page)
  const hostile = everything(pages.get('hostile')!)
  const kinds = (elements: readonly Element[]) => new Set(elements.map(({ name }) => name))
  for (const name of kinds(hostile))
    assert.ok(kinds(plain).has(name) || name === 'rect', `an element ${name}`)
  assert.is(hostile.filter(({ name }) => name === 'script').length, 1)
  for (const { name, attributes } of hostile)
    for (const key of Object.keys(attributes)) assert.not.match(key, /^on|^src$|^style$/, `${name} ${key}`)
  const text = hostile
    .map((element) => element.children.filter((child) => typeof child === 'string').join(''))
    .join('')
  assert.ok(text.includes('<script>alert(1)</script>'), 'the name itself is shown')
})

test('the page needs nothing but itself, and lets nothing else in', () => {
  for (const element of everything(page))
    for (const [key, value] of Object.entries(element.attributes)) {
      if (key === 'xmlns') continue
      assert.not.match(value, /https?:|\/\/|data:|javascript:/, `${element.name} ${key}`)
      if (key === 'href') assert.ok(value.startsWith('#'), value)
      for (const [, target] of value.matchAll(/url\(([^)]*)\)/g)) assert.ok(target!.startsWith('#'), value)
    }
  assert.not.match(textOf(within(page, 'style')[0]!), /@import|url\(|@font-face/)
  const [script] = within(page, 'script')
  const policy = within(page, 'meta').find(({ attributes }) => attributes['http-equiv'] !== undefined)
  const digest = createHash('sha256').update(textOf(script!)).digest('base64')
  assert.ok(
    policy!.attributes.content!.includes(`script-src 'sha256-${digest}'`),
    'the one script, by its digest',
  )
  assert.match(policy!.attributes.content!, /^default-src 'none';/)
})

test('every link within the page leads somewhere', () => {
  for (const [name, root] of pages) {
    const ids = new Set(everything(root).map(({ attributes }) => attributes.id))
    for (const { attributes } of within(root, 'a'))
      assert.ok(ids.has(attributes.href!.slice(1)), `${name} ${attributes.href}`)
    for (const { attributes } of everything(root)) {
      const clip = attributes['clip-path']
      if (clip !== undefined) assert.ok(ids.has(/^url\(#(.*)\)$/.exec(clip)![1]), `${name} ${clip}`)
    }
  }
})

test('every row is in the table, with its policy, its point and its error', () => {
  const lines = within(tableOf(page), 'tr').slice(1)
  assert.is(lines.length, grid.results.rows.length)
  grid.results.rows.forEach((row, index) => {
    const cells = lines[index]!.children.filter((child) => typeof child !== 'string')
    const values = cells.map((cell) => cell.attributes['data-value'] ?? textOf(cell))
    assert.is(values[0], row.policy)
    assert.equal(values.slice(1, 4).map(Number), [row.f, row.s, row.c], `row ${index}`)
    assert.is(Number(values[7]), row.error, `row ${index}`)
    assert.is(Number(values[8]), row.executionsPerJob, `row ${index}`)
  })
})

test('thousands of runs are merged by seed, and the page stays below three megabytes', () => {
  const seeds = Array.from({ length: 12 }, (_, index) => index + 1)
  const rows = seeds.flatMap((seed) =>
    syntheticGrid(seed).results.rows.map((row) => ({ ...row, parameters: { seed } })),
  )
  const random = createRandom(3)
  const course = { points: 1001 }
  const shares = Array.from({ length: 10_000 }, (_, index) => ({
    share: (2 - index / 5_000) / 10_000,
    honest: index % 5 > 0,
  }))
  const series = rows.slice(0, 400).map((row) => ({ ...syntheticSeries(row, random, course), shares }))
  const source = renderReport({ ...grid, results: { ...grid.results, rows }, series })
  assert.ok(source.length < 3_000_000, `${source.length} characters`)
  const lines = within(tableOf(readMarkup(source)), 'tr').slice(1)
  assert.is(lines.length, rows.length / seeds.length)
  for (const line of lines) assert.is(textOf(cellsOf(line)[1]!), String(seeds.length))
})

test('a number that was not measured is no mark and no zero', () => {
  const [first, ...others] = grid.results.rows
  const rows = [{ ...first!, error: Number.NaN, executionsPerJob: Number.POSITIVE_INFINITY }, ...others]
  const root = readMarkup(renderReport({ ...grid, results: { ...grid.results, rows } }))
  const cells = cellsOf(within(tableOf(root), 'tr')[1]!)
  assert.is(textOf(cells[7]!), '–')
  for (const { attributes } of everything(root))
    for (const value of Object.values(attributes)) assert.not.match(value, /NaN|Infinity|undefined/)
  assert.is(marksOf(figureOf(root, 'error')).length, marksOf(figureOf(page, 'error')).length - 1)
})

test('marks of errors lie where the labels of the axis say, zeros on the zero of their own', () => {
  checkHeights('error', ({ error }) => error)
})

test('marks of executions lie where the labels of the axis say', () => {
  checkHeights('executions', (row) => Number(row.executionsPerJob.toPrecision(4)))
})

test('marks of the frontier lie where the labels of both axes say', () => {
  const svg = svgOf(figureOf(page, 'frontier'))
  const [xTicks, yTicks] = [ticksBeneath(svg), ticksBeside(svg)]
  const marks = marksOf(figureOf(page, 'frontier'))
  assert.is(marks.length, grid.results.rows.length)
  for (const { title, at } of marks) {
    const [, error, cost] = /: (\S+) at (\S+) executions/.exec(title)!
    const ys = yTicks.map((column) => heightAt(column, Number(error)))
    assert.ok(
      ys.some((y) => Math.abs(y - at.y) < 0.3),
      `${title}: height ${at.y}, expected one of ${ys}`,
    )
    const xs = xTicks.map((row) => heightAt(row, Number(cost)))
    assert.ok(
      xs.some((x) => Math.abs(x - at.x) < 0.5),
      `${title}: at ${at.x}, expected one of ${xs}`,
    )
  }
})

test('runs with several seeds are a median within a range from the least to the most', () => {
  const sweep = syntheticSweep()
  const root = pages.get('sweep')!
  const svg = svgOf(figureOf(root, 'frontier'))
  const [ticks] = ticksBeside(svg)
  const ranges = within(svg, 'path').filter((path) => hasClass(path, 'range'))
  for (const floorRate of [0.01, 0.02, 0.05]) {
    const errors = sweep.results.rows
      .filter(({ parameters }) => parameters.floorRate === floorRate)
      .map(({ error }) => error)
      .sort((a, b) => a - b)
    const ends = [heightAt(ticks!, errors[0]!), heightAt(ticks!, errors.at(-1)!)]
    const drawn = ranges.map(({ attributes }) =>
      numbersOf(attributes.d!).filter((_, index) => index % 2 === 1),
    )
    assert.ok(
      drawn.some((ys) => ends.every((end) => ys.some((y) => Math.abs(y - end) < 0.2))),
      `floor rate ${floorRate}: no range from ${ends}`,
    )
    const mark = marksOf(figureOf(root, 'frontier')).find(({ title }) =>
      title.includes(`floorRate ${floorRate};`),
    )
    assert.ok(Math.abs(mark!.at.y - heightAt(ticks!, errors[2]!)) < 0.3, `median of ${floorRate}`)
  }
})

test('the bound is drawn where it was computed, down to where it comes to zero', () => {
  const svg = svgOf(figureOf(page, 'frontier'))
  const curves = within(svg, 'path').filter((path) => hasClass(path, 'bound'))
  // One for each panel, and one in the legend: the same for every c, it is drawn once.
  assert.is(curves.length, 12 + 1)
  const bound = grid.bounds.find(({ f, s }) => f === 0.1 && s === 0.01)!
  const drawn = numbersOf(
    curves.find(({ attributes }) => numbersOf(attributes.d!).length > 20)!.attributes.d!,
  )
  const [ticks] = ticksBeside(svg)
  bound.points.slice(0, 10).forEach(({ error }, index) => {
    assert.ok(Math.abs(drawn[index * 2 + 1]! - heightAt(ticks!, error)) < 0.2, `point ${index}`)
  })
})

test('bars of load are as high as the shares, and each saboteur has its tick', () => {
  const svg = svgOf(figureOf(pages.get('partition')!, 'load'))
  const [ticks] = ticksBeside(svg)
  const [run] = syntheticPartition().series
  const honest = within(svg, 'path').find((path) => hasClass(path, 'area'))!
  const tops = honest.attributes
    .d!.split('Z')
    .slice(0, -1)
    .map((bar) => numbersOf(bar)[3]!)
  const shares = run!.shares.filter((provider) => provider.honest).map(({ share }) => share * 100)
  assert.is(tops.length, shares.length)
  shares.forEach((share, index) => {
    assert.ok(Math.abs(tops[index]! - linearAt(ticks!, share)) < 0.2, `bar ${index}`)
  })
  const rug = within(svg, 'path').find((path) => hasClass(path, 'rug'))!
  assert.is(
    rug.attributes.d!.split('M').length - 1,
    run!.shares.filter((provider) => !provider.honest).length,
  )
})

test('what was done to the network is shaded from when to when it was done', () => {
  const svg = svgOf(figureOf(pages.get('partition')!, 'timeline'))
  const shades = within(svg, 'rect').filter(
    (rect) => hasClass(rect, 'span') && rect.attributes.width !== '24',
  )
  const axes = ticksBeneath(svg)
  assert.is(shades.length, axes.length, 'one in each panel')
  shades.forEach(({ attributes }, index) => {
    // From 240 to 360 seconds, on an axis of minutes.
    const [from, until] = [Number(attributes.x), Number(attributes.x) + Number(attributes.width)]
    assert.ok(Math.abs(from - linearAt(axes[index]!, 4)) < 0.2, `panel ${index} begins at ${from}`)
    assert.ok(Math.abs(until - linearAt(axes[index]!, 6)) < 0.2, `panel ${index} ends at ${until}`)
  })
})

test('a run has the plots that its rows and series can fill, and no others', () => {
  const random = createRandom(7)
  const row = syntheticRow('doubt', { f: 0, s: 0, c: 0 }, random)
  const alone = { ...grid, bounds: [], series: [], results: { ...grid.results, rows: [row] } }
  assert.equal(idsOf(alone), [])
  const served = syntheticSeries(row, random)
  assert.equal(idsOf({ ...alone, series: [served] }), ['timeline', 'standing', 'latency', 'load'])
  const idle = { ...served, latencyMs: served.latencyMs.map(() => 0), shares: [] }
  assert.equal(idsOf({ ...alone, series: [idle] }), ['timeline', 'standing'])
  assert.equal(idsOf({ ...alone, series: [{ ...idle, points: [] }] }), [])
  const two = [row, syntheticRow('boinc', { f: 0, s: 0, c: 0 }, random)]
  assert.equal(idsOf({ ...alone, results: { ...grid.results, rows: two } }), ['frontier', 'comparison'])
  assert.equal(idsOf(syntheticSweep()), ['frontier', 'sweep-0', 'timeline', 'standing', 'latency', 'load'])
  assert.equal(idsOf(grid), [
    'error',
    'executions',
    'frontier',
    'comparison',
    'timeline',
    'standing',
    'latency',
    'load',
  ])
  assert.equal(idsOf(EMPTY_INPUT), [])
})

test('each figure says in words what it shows, to those who see it and to those who do not', () => {
  for (const root of pages.values())
    for (const figure of within(root, 'figure')) {
      const caption = textOf(within(figure, 'p')[0]!)
      assert.ok(caption.length > 40 && caption.trim().endsWith('.'), caption)
      assert.ok((svgOf(figure).attributes['aria-label'] ?? '').length > 10)
      assert.is(svgOf(figure).attributes.role, 'img')
    }
})

test('no two labels of an axis lie on each other', () => {
  for (const [name, root] of pages)
    for (const svg of within(root, 'svg')) {
      const boxes = within(svg, 'text')
        .filter((text) => hasClass(text, 'tick'))
        .map(boxOf)
      boxes.forEach((a, index) => {
        const other = boxes
          .slice(index + 1)
          .find((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
        assert.is(other, undefined, `${name}: ${a.text} on ${other?.text} in ${svg.attributes['aria-label']}`)
      })
    }
})

test('what was swept under a path of the policies is told by the own name of the parameter alone', () => {
  const random = createRandom(5)
  const point = { f: 0.1, s: 1, c: 0 }
  const rows = [0.01, 0.03, 0.1].flatMap((floorRate): ResultRow[] => [
    syntheticRow('doubt', point, random, { floorRate, 'policies.0.floorRate': floorRate, seed: 1 }),
    syntheticRow('boinc', point, random, { 'policies.0.floorRate': floorRate, seed: 1 }),
  ])
  const input = { ...grid, bounds: [], series: [], results: { ...grid.results, rows } }
  assert.equal(idsOf(input), ['frontier', 'sweep-0', 'comparison'])
  const summary = within(readMarkup(renderReport(input)), 'table').find((table) =>
    hasClass(table, 'summary'),
  )!
  const names = within(within(summary, 'tbody')[0]!, 'th').map(textOf)
  assert.equal(names, ['doubt, floorRate 0.01', 'doubt, floorRate 0.03', 'doubt, floorRate 0.1', 'boinc'])
})

test('settings that are more than can be told apart are one group, and each keeps its mark on the frontier', () => {
  const random = createRandom(5)
  const point = { f: 0.1, s: 1, c: 0 }
  const rows = Array.from({ length: 12 }, (_, index) =>
    syntheticRow('m-first', point, random, { votes: index + 1 }),
  )
  const input = {
    ...grid,
    bounds: [],
    series: [],
    results: { ...grid.results, rows: [...rows, syntheticRow('doubt', point, random)] },
  }
  const marks = marksOf(figureOf(readMarkup(renderReport(input)), 'frontier'))
  for (const { parameters } of rows)
    assert.is(marks.filter(({ title }) => title.startsWith(`m-first, votes ${parameters.votes};`)).length, 1)
})

test('policies whose names and settings read alike are kept apart', () => {
  const random = createRandom(5)
  const point = { f: 0.1, s: 1, c: 0 }
  const rows = [
    syntheticRow('a', point, random, { m: 1 }),
    syntheticRow('a', point, random, { m: 2 }),
    syntheticRow('a, m 2', point, random),
  ]
  const root = readMarkup(
    renderReport({ ...grid, bounds: [], series: [], results: { ...grid.results, rows } }),
  )
  assert.is(marksOf(figureOf(root, 'frontier')).length, 3)
})

test.run()

function idsOf(input: ReportInput): readonly string[] {
  return within(readMarkup(renderReport(input)), 'figure').map(({ attributes }) => attributes.id!)
}

function checkHeights(id: string, expected: (row: ResultRow) => number): void {
  const figure = figureOf(page, id)
  const rows = ticksBeside(svgOf(figure))
  const marks = marksOf(figure)
  assert.is(marks.length, grid.results.rows.length)
  for (const row of grid.results.rows) {
    const name = `${row.policy}; f = ${row.f}, s = ${row.s}, c = ${row.c}: `
    const own = marks.filter(({ title }) => title.startsWith(name))
    assert.is(own.length, 1, name)
    const [{ title, at }] = own as [Mark]
    const value = expected(row)
    assert.is(Number(title.slice(name.length)), value, title)
    const y = heightAt(rows[[0, 0.1, 1].indexOf(row.c)]!, value)
    assert.ok(Math.abs(at.y - y) < 0.3, `${title}: drawn at ${at.y}, belongs at ${y}`)
  }
}

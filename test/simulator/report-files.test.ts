import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { renderCsv, renderJson } from '../../src/simulator/report/index.ts'
import type { ResultRow, Results } from '../../src/simulator/results.ts'
import { syntheticGrid, syntheticSweep } from '../fixtures/simulated-results.ts'

const grid = syntheticGrid().results
const sweep = syntheticSweep().results

function withRows(...rows: readonly Partial<ResultRow>[]): Results {
  return { ...grid, rows: rows.map((row) => ({ ...grid.rows[0]!, ...row })) }
}

/** As RFC 4180 has it: CRLF after every record, quotes around what needs them, quotes within doubled. */
function readCsv(text: string): readonly (readonly string[])[] {
  const records: string[][] = [[]]
  let at = 0
  while (at < text.length) {
    const quoted = /"((?:[^"]|"")*)"/y
    const plain = /[^",\r\n]*/y
    quoted.lastIndex = at
    plain.lastIndex = at
    const found = quoted.exec(text)
    const cell = found === null ? plain.exec(text)![0] : found[1]!.replaceAll('""', '"')
    at = found === null ? plain.lastIndex : quoted.lastIndex
    records.at(-1)!.push(cell)
    if (text.startsWith('\r\n', at)) {
      at += 2
      records.push([])
    } else if (text[at] === ',') at += 1
    else
      throw new Error(
        `neither the end of a cell nor of a record at ${at}: ${JSON.stringify(text.slice(at, at + 20))}`,
      )
  }
  assert.equal(records.pop(), [], 'the last record ends with CRLF')
  return records
}

test('the table has a line for each row, with all digits', () => {
  const [header, ...lines] = readCsv(renderCsv(grid))
  assert.is(lines.length, grid.rows.length)
  grid.rows.forEach((row, index) => {
    const read = Object.fromEntries(header!.map((name, column) => [name, lines[index]![column]!]))
    const { parameters: _, ...expected } = row
    for (const [name, value] of Object.entries(expected))
      assert.is(read[name], String(value), `row ${index}, ${name}`)
    assert.is(lines[index]!.length, header!.length)
  })
})

test('each parameter is a column, empty where a row does not have it', () => {
  const [header, first, second] = readCsv(
    renderCsv(withRows({ parameters: { b: 2, a: 'x' } }, { parameters: { d: 0 } })),
  )
  assert.equal(header!.slice(-3), ['a', 'b', 'd'])
  assert.equal(first!.slice(-3), ['x', '2', ''])
  assert.equal(second!.slice(-3), ['', '', '0'])
})

test('a parameter that is called like a column, or like what it would be renamed to, has a column of its own', () => {
  const parameters = { error: 7, policy: 'p', 'parameters.error': 8 }
  const [header, line] = readCsv(renderCsv(withRows({ parameters })))
  assert.is(new Set(header).size, header!.length)
  assert.is(line![header!.indexOf('error')], String(grid.rows[0]!.error))
  assert.is(line![header!.indexOf('parameters.policy')], 'p')
  assert.is(line![header!.indexOf('parameters.error')], '8')
  assert.is(line![header!.indexOf('parameters.parameters.error')], '7')
})

test('no name breaks out of its cell', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '"', ',', '\r', '\n', '\r\n', ' ', "'") }), (name) => {
      const [header, line] = readCsv(
        renderCsv(withRows({ policy: `x${name}`, parameters: { [`p${name}`]: `y${name}` } })),
      )
      assert.is(line![0], `x${name}`)
      assert.is(header!.at(-1), `p${name}`)
      assert.is(line!.at(-1), `y${name}`)
    }),
  )
})

test('what a spreadsheet would run is text, and a negative number stays a number', () => {
  for (const name of ['=1+1', '+1', '-1', '@x', '\tx', '\rx']) {
    const [header, line] = readCsv(renderCsv(withRows({ policy: name, parameters: { [name]: name } })))
    for (const cell of [line![0], header!.at(-1), line!.at(-1)]) assert.is(cell, `'${name}`)
  }
  const [, line] = readCsv(renderCsv(withRows({ parameters: { p: -1 } })))
  assert.is(line!.at(-1), '-1')
})

test('what was not measured is an empty cell, and null', () => {
  const results = withRows({ error: Number.NaN, executionsPerJob: Number.POSITIVE_INFINITY, parameters: {} })
  const [header, line] = readCsv(renderCsv(results))
  assert.is(line![header!.indexOf('error')], '')
  assert.is(line![header!.indexOf('executionsPerJob')], '')
  assert.is(JSON.parse(renderJson(results)).rows[0].error, null)
})

test('the results file is the results, and nothing else', () => {
  for (const results of [grid, sweep, { ...grid, rows: [] }, withRows({ policy: '"\u2028</script>\\' })]) {
    assert.equal(JSON.parse(renderJson(results)), structuredClone(results))
    assert.is(renderJson(results), renderJson(structuredClone(results)))
  }
})

test('the order in which fields were set changes no byte of the files', () => {
  const turned = (value: object): object =>
    Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, inner]) => [key, key === 'parameters' ? turned(inner) : inner]),
    )
  const rows = sweep.rows.map((row) => turned(row) as ResultRow)
  assert.is(renderJson({ ...sweep, rows }), renderJson(sweep))
  assert.is(renderCsv({ ...sweep, rows }), renderCsv(sweep))
})

test('names that every object has are no parameters', () => {
  const [header, line] = readCsv(
    renderCsv(withRows({ parameters: {} }, { parameters: { constructor: 1, toString: 2 } as never })),
  )
  assert.equal(header!.slice(-2), ['constructor', 'toString'])
  assert.equal(line!.slice(-2), ['', ''])
})

test.run()

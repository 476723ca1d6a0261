/**
 * `node bench/exact/operators.ts [--only TYPE,...] [--opsets 13,17]`: earns the list of the exact lane's operators
 * (models/graph/operators.ts). Every model of the test set and of the zoo is traced in this process; every step of every
 * trace is executed again, alone, in another that has run nothing else, and must give its leaf's digests bit by bit. Every
 * entry of the list must have been executed so: each operator in each of its versions, and with each of its element types.
 * Prints a table and ends with exit code 1 where anything failed or an entry was not earned.
 */
import { parseArgs } from 'node:util'
import { listedOperators } from '../../models/graph/operators.ts'
import { type Earnings, earn } from '../../test/exact/earning.ts'
import { TEST_SET } from '../../test/exact/models/index.ts'
import { listedCells } from '../../test/exact/zoo/index.ts'

const { values } = parseArgs({ options: { only: { type: 'string' }, opsets: { type: 'string' } } })
const only = values.only?.split(',')
const opsets = values.opsets?.split(',').map(Number)
const entries = listedOperators().filter(({ type }) => only?.includes(type) ?? true)
const cells = listedCells()
  .filter(({ type }) => only?.includes(type) ?? true)
  .filter(({ domain, opset }) => domain !== '' || (opsets?.includes(opset) ?? true))

const startedAt = performance.now()
const earnings = await earn(only === undefined ? TEST_SET : [], cells, (line) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
})
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
const unearned = report(earnings)
const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
console.log(
  `${earnings.models} models, ${earnings.steps} steps executed again alone in ${seconds} s; ` +
    `${earnings.failures.length} failures, ${unearned} entries not earned`,
)
process.exitCode = earnings.failures.length > 0 || unearned > 0 || earnings.steps === 0 ? 1 : 0

/** The number of entries that were not earned. */
function report({ uses, refused, failures }: Earnings): number {
  let unearned = 0
  for (const { domain, type, opsetFirst, opsetLast, dtypes } of entries) {
    const key = `${domain}:${type}`
    const used = [...uses].filter((use) => use.startsWith(`${key} `)).map((use) => use.split(' '))
    const missing = [
      ...versions(opsetFirst, opsetLast, domain).filter(
        (opset) => !used.some((use) => use[1] === String(opset)),
      ),
      ...[...dtypes].filter((dtype) => !used.some((use) => use[2] === dtype)),
    ]
    unearned += missing.length
    const without = refused.filter(({ cell }) => cell.domain === domain && cell.type === type).length
    const notes = [
      ...(without > 0 ? [`${without} the engine does not have`] : []),
      ...(missing.length > 0 ? [`NOT EARNED: ${missing.join(', ')}`] : []),
    ]
    console.log(
      `${(domain === '' ? type : `${domain}.${type}`).padEnd(28)} ${`${opsetFirst}-${opsetLast}`.padEnd(6)} ${String(used.length).padStart(4)} used  ${notes.join('; ')}`.trimEnd(),
    )
  }
  for (const line of failures) console.log(`FAILED ${line}`)
  return unearned
}

function versions(first: number, last: number, domain: string): number[] {
  const all = Array.from({ length: last - first + 1 }, (_, at) => first + at)
  return opsets === undefined || domain !== '' ? all : all.filter((opset) => opsets.includes(opset))
}

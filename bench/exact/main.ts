/**
 * `npm run bench:exact -- [--parts speed,steps,liars,honest,proofs] [--only MODEL,...] [--lies 1000] [--comparisons 10000]
 * [--rounds 7] [--seed 1] [--name exact] [--markdown]`: what the exact lane and its disputes cost, and whether the referee is
 * right. See bench/README.md. Exit code 1 where a liar was not pinned to its step, an honest party was condemned, a
 * step gave something else alone, or a proof did not hold.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readMachineFacts } from '../machine.ts'
import { compareHonest, type HonestRow, TAU } from './honest.ts'
import { type LiarsResult, tamper } from './liars.ts'
import { measureProofs, type ProofsRow } from './proofs.ts'
import { renderHonest, renderLiars, renderProofs, renderSpeed, renderSteps } from './report.ts'
import { measureSpeed, type SpeedRow } from './speed.ts'
import { measureSteps, type StepsRow } from './steps.ts'
import { subjects } from './subjects.ts'

const PARTS = ['speed', 'steps', 'liars', 'honest', 'proofs'] as const
const PROOFS = 20
const PROVEN = ['ocr-recognition', 'ocr-detection']

const { values } = parseArgs({
  options: {
    parts: { type: 'string', default: PARTS.join() },
    only: { type: 'string' },
    lies: { type: 'string', default: '1000' },
    comparisons: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '7' },
    seed: { type: 'string', default: '1' },
    name: { type: 'string', default: '' },
    markdown: { type: 'boolean', default: false },
  },
})
const wanted = (part: (typeof PARTS)[number]): boolean => values.parts.split(',').includes(part)
const seed = Number(values.seed)
const chosen = subjects(values.only?.split(','))
const machine = await readMachineFacts()
let isWrong = false
const results: {
  speed?: SpeedRow[]
  steps?: StepsRow[]
  liars?: LiarsResult
  honest?: HonestRow[]
  proofs?: ProofsRow[]
} = {}

if (wanted('speed')) {
  results.speed = []
  for (const subject of chosen) {
    tell(`speed: ${subject.model.name}`)
    results.speed.push(await measureSpeed(subject, Number(values.rounds)))
  }
  print('Exact against native', renderSpeed(results.speed, values.markdown))
}
if (wanted('steps')) {
  results.steps = []
  for (const subject of chosen) {
    tell(`steps: ${subject.model.name}`)
    results.steps.push(await measureSteps(subject))
  }
  isWrong ||= results.steps.some(({ failures }) => failures > 0)
  print('A step alone, and what travels', renderSteps(results.steps, values.markdown))
}
if (wanted('liars')) {
  results.liars = await tamper(Number(values.lies), seed, tell)
  const { runs, pinned, falseAccusations } = results.liars
  isWrong ||= pinned < runs || falseAccusations > 0 || runs < Number(values.lies)
  print(`Liars by one bit (seed ${seed})`, renderLiars(results.liars))
}
if (wanted('honest')) {
  results.honest = await compareHonest(Number(values.comparisons), seed, tell)
  isWrong ||= results.honest.some(({ condemned, unequalTraces }) => condemned > 0 || unequalTraces > 0)
  print(`Honest against honest at tau ${TAU} (seed ${seed})`, renderHonest(results.honest, values.markdown))
}
if (wanted('proofs')) {
  results.proofs = []
  for (const subject of chosen.filter(({ model }) => PROVEN.includes(model.name))) {
    tell(`proofs: ${subject.model.name}`)
    results.proofs.push(await measureProofs(subject, PROOFS))
  }
  print('Proofs of execution', renderProofs(results.proofs, values.markdown))
}
if (values.name !== '') {
  const directory = join(import.meta.dirname, '..', 'results')
  await mkdir(directory, { recursive: true })
  const text = `${JSON.stringify({ machine, seed, ...results }, undefined, 1)}\n`
  await writeFile(join(directory, `${values.name}.json`), text)
}
console.log(`load before: ${machine.loadBefore.toFixed(2)} on ${machine.cores} cores of ${machine.cpu}`)
process.exitCode = isWrong ? 1 : 0

function print(title: string, text: string): void {
  tell('')
  console.log(`${title}\n\n${text}`)
}

/** Where work stands, for a person who waits. */
function tell(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
}

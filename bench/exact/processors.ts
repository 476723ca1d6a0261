/**
 * `node bench/exact/processors.ts [--qemu PATH] [--cpus Nehalem,Haswell] [--seeds 1] [--only NAME,...] [--zoo OPSET]`: the traces of the whole
 * test set here and under Debian's qemu-user (`apt-get install qemu-user`) on other processors. Exact roots must be equal, and
 * no honest pair of native answers may end in anybody's condemnation. Slow: a processor takes some minutes.
 *
 * Exit code 1 where two roots differ, 0 also where qemu is not installed, which is said.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { parseArgs, promisify } from 'node:util'
import { RuntimeError } from '../../models/runtime/index.ts'
import { encodeTensors } from '../../models/tensor/index.ts'
import { hashLeaf, merkleRoot } from '../../models/trace/index.ts'
import { compareTensors } from '../../src/verification/index.ts'
import { openLane, supplyEngine } from '../../test/exact/lane.ts'
import { TEST_SET, type TestModel } from '../../test/exact/models/index.ts'
import { openNative } from '../../test/exact/native.ts'
import { runParty } from '../../test/exact/tampering.ts'
import { buildZooModel, casesOf, listedCells } from '../../test/exact/zoo/index.ts'

interface Traced {
  readonly name: string
  readonly leaves: number
  /** Hex; undefined of a cell that the engine does not have. */
  readonly root: string | undefined
  /** Base64 of the payload of native outputs; undefined where there is nothing to compare, or no native engine. */
  readonly native: string | undefined
}

/** OCR and most other catalogued models. */
const TAU = 5e-5

const { values } = parseArgs({
  options: {
    qemu: { type: 'string', default: 'qemu-x86_64' },
    cpus: { type: 'string', default: 'Nehalem,Haswell' },
    seeds: { type: 'string', default: '1' },
    only: { type: 'string' },
    zoo: { type: 'string' },
    'no-native': { type: 'boolean', default: false },
    child: { type: 'boolean', default: false },
  },
})

if (values.child) console.log(JSON.stringify(await traceAll()))
else await compareProcessors()

async function compareProcessors(): Promise<void> {
  const qemu = await findQemu(values.qemu)
  if (qemu === undefined) {
    console.log(`skipped: ${values.qemu} is not installed (Debian: apt-get install qemu-user)`)
    return
  }
  const here = await trace(undefined)
  let wrong = 0
  for (const cpu of values.cpus.split(',')) {
    const startedAt = performance.now()
    const there = await trace([qemu, '-cpu', cpu])
    const differing = here.filter(({ root }, at) => there[at]!.root !== root)
    for (const { name } of differing) console.log(`${cpu}: another root of ${name}`)
    const pairs = here.flatMap(({ name, native }, at) => {
      const other = there[at]!.native
      return native === undefined || other === undefined ? [] : [{ name, native, other }]
    })
    const same = pairs.filter(({ native, other }) => native === other).length
    const disputes = pairs.filter(
      ({ native, other }) =>
        !compareTensors(Buffer.from(native, 'base64'), Buffer.from(other, 'base64'), TAU),
    )
    for (const { name } of disputes) console.log(`${cpu}: the native answers of ${name} would be disputed`)
    const refused = here.filter(({ root }, at) => root === undefined && there[at]!.root === undefined).length
    const traced = here.length - refused
    const leaves = there.reduce((sum, one) => sum + one.leaves, 0)
    console.log(
      `${cpu}: ${traced - differing.length} of ${traced} traces have the same root (${leaves} leaves), ` +
        `${refused} cases are refused on both; ` +
        `native answers: ${same} of ${pairs.length} bitwise the same, ${disputes.length} disputed at tau ${TAU}; ` +
        `${((performance.now() - startedAt) / 1000).toFixed(0)} s`,
    )
    wrong += differing.length
  }
  process.exitCode = wrong > 0 ? 1 : 0
}

async function findQemu(name: string): Promise<string | undefined> {
  if (name.includes('/')) return existsSync(name) ? name : undefined
  const found = (process.env.PATH ?? '').split(':').map((directory) => `${directory}/${name}`)
  return found.find((path) => existsSync(path))
}

/** In a process of its own, at the lowest priority. */
async function trace(emulator: readonly string[] | undefined): Promise<Traced[]> {
  const passed = process.argv.slice(2).filter((argument) => argument !== '--child')
  const command = [
    ...(emulator ?? []),
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    import.meta.filename,
    ...passed,
    '--child',
  ]
  const { stdout } = await promisify(execFile)('nice', ['-n', '19', ...command], {
    maxBuffer: 1024 ** 3,
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  })
  return JSON.parse(stdout) as Traced[]
}

async function traceAll(): Promise<Traced[]> {
  const only = values.only?.split(',')
  const supply = supplyEngine()
  const traced: Traced[] = []
  for (const model of TEST_SET) {
    if (only !== undefined && !only.includes(model.name)) continue
    const files = model.load()
    const lane = openLane(files, await supply(), { sessionBytesMax: 0 })
    for (const seed of values.seeds.split(',').map(Number)) {
      const { party } = runParty(lane, model.inputs(seed))
      traced.push({
        name: `${model.name}, seed ${seed}`,
        leaves: party.leaves.length,
        root: rootOf(party.leaves),
        native: values['no-native'] ? undefined : await runNative(model, seed),
      })
    }
  }
  if (values.zoo !== undefined) traced.push(...(await traceZoo(Number(values.zoo))))
  return traced
}

/** One trace for each case: where a processor refuses what another runs, the roots differ as well. */
async function traceZoo(wanted: number): Promise<Traced[]> {
  const supply = supplyEngine()
  const traced: Traced[] = []
  for (const cell of listedCells()) {
    if (cell.domain === '' && cell.opset !== wanted) continue
    for (const [at, one] of (casesOf(cell) ?? []).entries()) {
      const engine = await supply()
      const { bytes, inputs } = buildZooModel(cell, [one])
      const name = `${cell.type} ${cell.opset} ${cell.dtype} ${at}`
      try {
        const lane = openLane({ model: bytes, files: new Map() }, engine, { sessionBytesMax: 0 })
        const { party } = runParty(lane, inputs)
        traced.push({ name, leaves: party.leaves.length, root: rootOf(party.leaves), native: undefined })
      } catch (error) {
        if (!(error instanceof RuntimeError)) throw error
        traced.push({ name, leaves: 0, root: undefined, native: undefined })
      }
    }
  }
  return traced
}

async function runNative(model: TestModel, seed: number): Promise<string | undefined> {
  if (typeof model.native === 'string') return undefined
  const native = await openNative(model.load(), 1)
  const outputs = await native.run(model.inputs(seed))
  await native.release()
  return Buffer.from(encodeTensors(outputs)).toString('base64')
}

function rootOf(leaves: readonly Uint8Array[]): string {
  return Buffer.from(merkleRoot(leaves.map(hashLeaf))).toString('hex')
}

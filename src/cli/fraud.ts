import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { CATALOGUE } from '../../models/catalogue/index.ts'
import { createExactRuntime, type ExactRuntime, exactRuntimeInfo } from '../../models/runtime/index.ts'
import { importSource } from '../../models/source/index.ts'
import { openModelStore } from '../../models/store/index.ts'
import { systemClock } from '../../peers/clock/index.ts'
import { createProofStore, type ProofStore } from '../../peers/fraud/index.ts'
import {
  decodeFraudProof,
  type FraudProof,
  type FraudVerdict,
  fraudProofId,
  PROOF_BYTES_MAX,
  verifyFraudProof,
} from '../../protocols/fraud/index.ts'
import { openJob } from '../../protocols/receipt/index.ts'
import { proofsDirectory } from '../node/index.ts'
import { CommandError } from './failure.ts'
import { resolveModel } from './model-address.ts'
import { type CommonOptions, dataOption } from './options.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'

interface VerifyOptions extends CommonOptions {
  readonly model?: string
}

/** For a model that never ends, or a step that takes all memory: the proof is undecided then. */
const VERIFY_TIMEOUT_MS = 120_000

export function addFraudCommands(program: Command, terminal: Terminal, dataDirectory: string): void {
  const fraud = program.command('fraud').description('proofs that a key signed something false')
  fraud
    .command('list')
    .description('keys that this node holds a proof against')
    .option('--data <dir>', 'where proofs lie', dataDirectory)
    .option('--json', 'print one JSON array', false)
    .action((options: CommonOptions) => list(options, terminal))
  fraud
    .command('show')
    .argument('<proof>', 'a file, or a peer id that this node holds a proof against')
    .description('what a proof claims; nothing is verified')
    .option('--data <dir>', 'where proofs lie', dataDirectory)
    .option('--json', 'print one JSON object', false)
    .action((proof: string, options: CommonOptions) => show(proof, options, terminal))
  fraud
    .command('verify')
    .argument('<proof>', 'a file, or a peer id that this node holds a proof against')
    .description(
      'verify a proof offline, trusting nobody: it needs the model, and runs one step of it at most',
    )
    .option('--model <dir|cid>', 'the model: a directory, an .onnx file, or a model of this machine')
    .option('--data <dir>', 'where models and proofs lie', dataDirectory)
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', HELP)
    .action((proof: string, options: VerifyOptions) => verify(proof, options, terminal))
}

const HELP = `
Exit code: 0 valid, 3 undecided (the model is not at hand, or it could not be found out), 4 invalid; 1 and 2 are errors.

Examples:
  verimesh fraud verify 12D3Koo....proof
  verimesh fraud verify 12D3Koo....proof --model ./classifier
`

async function list({ data, json }: CommonOptions, terminal: Terminal): Promise<void> {
  const store = await openProofs(data, terminal)
  const found = store.list()
  if (json) return terminal.printJson(found)
  if (found.length === 0) return terminal.print('no key is known to have lied')
  const rows = found.map(({ accused, kind, model, bytes, foundAtMs }) => [
    accused,
    kind,
    new Date(foundAtMs).toISOString().slice(0, 19),
    `${(bytes / 1e3).toFixed(1)} kB`,
    model,
  ])
  for (const line of table(['key', 'kind', 'found', 'proof', 'model'], rows)) terminal.print(line)
  terminal.note(`verify one: verimesh fraud verify KEY${dataOption(data)}`)
}

async function show(text: string, { data, json }: CommonOptions, terminal: Terminal): Promise<void> {
  const bytes = await readProof(text, data, terminal)
  const proof = decodeFraudProof(bytes)
  const { job } = openJob(proof.job)
  const facts = {
    id: fraudProofId(bytes),
    bytes: bytes.byteLength,
    claim: proof.claim,
    says: CLAIMS[proof.claim],
    job: Buffer.from(openJob(proof.job).commitment).toString('hex'),
    model: job.model,
    requester: job.requester,
    publishable: job.policy.publicDisputes,
  }
  if (json) return terminal.printJson(facts)
  terminal.print(`proof     ${facts.id}, ${facts.bytes} bytes`)
  terminal.print(`claims    ${facts.says}`)
  terminal.print(`job       ${facts.job}`)
  terminal.print(`model     ${facts.model}`)
  terminal.print(`asked by  ${facts.requester}`)
  terminal.print(
    `public    ${facts.publishable ? 'yes, its requester allowed it' : 'no: it is not passed on'}`,
  )
  terminal.note('nothing was verified: verimesh fraud verify')
}

const CLAIMS: Readonly<Record<FraudProof['claim'], string>> = {
  shape: 'the accused signed a trace that is not one of this model',
  operand: 'the accused fed a step something else than its own trace, the model or the job says',
  output: 'the accused signed outputs that are not those of its own trace',
  receipt: 'the accused signed a receipt and a trace with different outputs',
  execution: 'the accused signed that a step gave what it does not give',
  receipts: 'the accused signed two different answers for one job',
  commitments: 'the accused signed two different traces of one job',
}

async function verify(text: string, options: VerifyOptions, terminal: Terminal): Promise<void> {
  const bytes = await readProof(text, options.data, terminal)
  const startedAtMs = performance.now()
  const verdict = await verifyWith(bytes, options, terminal)
  const elapsedMs = performance.now() - startedAtMs
  process.exitCode = verdict.status === 'valid' ? 0 : verdict.status === 'invalid' ? 4 : 3
  if (options.json) return terminal.printJson({ id: fraudProofId(bytes), ...verdict, elapsedMs })
  if (verdict.status !== 'valid') {
    const damaged = verdict.code === 'malformed' ? 'this is no proof, or not all of one: ' : ''
    terminal.print(`${verdict.status}: ${damaged}${verdict.message}`)
    if (verdict.status === 'undecided' && verdict.code === 'unknown-model')
      terminal.note(`name the model with --model, or add it: verimesh models add ${nameOf(verdict.message)}`)
    if (verdict.status === 'undecided' && verdict.code === 'other-plan')
      terminal.note('the model is another one than the proof is about, or was planned by other rules')
    return
  }
  const { accused, kind, jobId, model, position, operator } = verdict
  terminal.print(`valid: ${accused} signed something false (${kind})`)
  terminal.print(`  job    ${jobId}`)
  terminal.print(`  model  ${model}`)
  if (position !== undefined)
    terminal.print(
      `  at     ${position} in its trace, from 0${operator === undefined ? '' : ` (${operator})`}`,
    )
  terminal.note(`verified offline in ${(elapsedMs / 1000).toFixed(2)} s, on nobody's word`)
}

async function verifyWith(
  bytes: Uint8Array,
  { model, data }: VerifyOptions,
  terminal: Terminal,
): Promise<FraudVerdict> {
  const found = await openModel(model, data, terminal)
  const runtimes: ExactRuntime[] = []
  const signal = AbortSignal.timeout(VERIFY_TIMEOUT_MS)
  try {
    return await verifyFraudProof(
      bytes,
      {
        laneId: exactRuntimeInfo().version,
        modelOf: async (cid) => {
          const at = found.find(cid)
          if (at === undefined) return undefined
          const runtime = createExactRuntime(at)
          runtimes.push(runtime)
          return {
            plan: await runtime.plan(signal),
            laneId: runtime.info.version,
            runStep: (...step) => runtime.runStep(...step),
          }
        },
      },
      signal,
    )
  } finally {
    await Promise.all(runtimes.map((runtime) => runtime.close()))
    await found.discard()
  }
}

/** What the catalogue calls the model that a message names, if it knows it. */
function nameOf(message: string): string {
  return CATALOGUE.find(({ cid }) => message.includes(cid))?.name ?? 'SOURCE'
}

type Runnable = Parameters<typeof createExactRuntime>[0]

/** The model that the person names, else whatever this machine has. Its plan is derived, not believed. */
async function openModel(
  text: string | undefined,
  data: string,
  terminal: Terminal,
): Promise<{ find: (cid: string) => Runnable | undefined; discard: () => Promise<void> }> {
  const isPath = text !== undefined && (await stat(text).catch(() => undefined)) !== undefined
  if (text !== undefined && isPath) {
    const workDirectory = await mkdtemp(join(tmpdir(), 'verimesh-model-'))
    const discard = () => rm(workDirectory, { recursive: true, force: true })
    try {
      terminal.progress(`deriving the plan of ${text} ...`)
      const { manifest, directory } = await importSource(text, { workDirectory })
      terminal.progress('')
      const runnable = { modelPath: join(directory, manifest.model), signature: manifest.signature }
      // Whatever its address: a proof counts only where the accused itself signed the root of this model's plan.
      return { find: () => runnable, discard }
    } catch (error) {
      await discard()
      throw error
    }
  }
  const store = await openModelStore(data)
  const only = text === undefined ? undefined : resolveModel(text, store)
  return {
    find: (cid) => {
      const stored = only === undefined || only === cid ? store.get(cid) : undefined
      return stored && { modelPath: stored.modelPath, signature: stored.manifest.signature }
    },
    discard: async () => {},
  }
}

async function readProof(text: string, data: string, terminal: Terminal): Promise<Uint8Array> {
  const found = await stat(text).catch(() => undefined)
  if (found === undefined) {
    const store = await openProofs(data, terminal)
    const held = await store.get(text)
    if (held !== undefined) return held
    throw new CommandError('unreadable-input', `${text} is no file, and no key that a proof is held against`)
  }
  if (found.size > PROOF_BYTES_MAX) {
    throw new CommandError(
      'unreadable-input',
      `a proof has ${PROOF_BYTES_MAX} bytes at most; ${text} has ${found.size}`,
    )
  }
  return readFile(text).catch((cause: unknown) => {
    throw new CommandError('unreadable-input', `cannot read ${text}`, { cause })
  })
}

function openProofs(data: string, terminal: Terminal): Promise<ProofStore> {
  const warn = (message: string): void => terminal.note(`warning: ${message}`)
  const log = { debug: () => {}, info: () => {}, warn, error: warn }
  return createProofStore(proofsDirectory(data), { clock: systemClock, log })
}

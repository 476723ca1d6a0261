/** `verimesh fraud list` and `show`: what proofs this machine has, and what they claim. */
import { accusedOf, decodeFraudProof, type FraudProof, fraudProofId } from '../../protocols/fraud/index.ts'
import { openJob } from '../../protocols/receipt/index.ts'
import { type CommonOptions, dataOption } from './options.ts'
import { openProofs, readProof } from './proof-file.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'

export async function list({ data, json }: CommonOptions, terminal: Terminal): Promise<void> {
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

export async function show(text: string, { data, json }: CommonOptions, terminal: Terminal): Promise<void> {
  const bytes = await readProof(text, data, terminal)
  const proof = decodeFraudProof(bytes)
  const { job } = openJob(proof.job)
  const facts = {
    id: fraudProofId(bytes),
    bytes: bytes.byteLength,
    claim: proof.claim,
    says: CLAIMS[proof.claim],
    accused: accusedOf(proof),
    verified: false,
    job: Buffer.from(openJob(proof.job).commitment).toString('hex'),
    model: job.model,
    requester: job.requester,
    publishable: job.policy.publicDisputes,
  }
  if (json) return terminal.printJson(facts)
  terminal.print(`proof     ${facts.id}, ${facts.bytes} bytes`)
  terminal.print(`claims    ${facts.says}`)
  terminal.print(`accused   ${facts.accused}`)
  terminal.print(`job       ${facts.job}`)
  terminal.print(`model     ${facts.model}`)
  terminal.print(`asked by  ${facts.requester}`)
  terminal.print(
    `public    ${facts.publishable ? 'yes, its requester allowed it' : 'no: it is not passed on'}`,
  )
  terminal.note('nothing of what it claims was verified: verimesh fraud verify')
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

/**
 * The binary form of a plan, which has exactly one:
 *
 *     plan    := { bytes:u32 record }+                        the head, then the steps of block after block
 *     head    := "verimesh/plan/1\0"
 *                inputs:u16 { text }*
 *                outputs:u16 { text source }*
 *                blocks:u32 { steps:u32 outputs:u16 { source }* }*
 *     step    := kind:u8 text(domain) text(type) opset:u32 digest:32
 *                operands:u16 { source }*  outputs:u16 { 0|1:u8 }*
 *                kind 0, an operator: nothing more
 *                kind 1, an If:       then:u32 else:u32
 *                kind 2, a Loop:      body:u32 carried:u16 iterationRank:u8 conditionRank:u8
 *                                     scans:u16 { dtype:u8 rank:u8 { dim:u64 }* }*
 *     source  := 0:u8                                         absent
 *              | 1:u8 digest:32                               a constant
 *              | 2:u8 index:u16                               an input of the model
 *              | 3:u8 up:u8 step:u32 output:u16               an output of a step
 *              | 4:u8 up:u8 index:u16                         an input of a loop body
 *     text    := bytes:u16 utf8
 *
 * Integers are little-endian. The root is that of the Merkle tree (RFC 6962, section 2.1) whose leaves are the records; the
 * head, which is the first, holds the count of the others.
 */
import { hashLeaf, merkleRoot } from '../trace/index.ts'
import { PLAN_BYTES_MAX, PLAN_STEPS_MAX } from './constants.ts'
import { PlanError } from './errors.ts'
import type { Block, Plan, Source, Step } from './plan.ts'
import { PlanReader } from './reader.ts'
import { verifyPlan } from './structure.ts'
import { PlanWriter } from './writer.ts'

/** The plan with its root. Throws PlanError where it contradicts itself or is too large. */
export function createPlan(parts: Omit<Plan, 'root'>): Plan {
  verifyPlan(parts)
  return { ...parts, root: rootOf(encodeRecords(parts)) }
}

/** Throws PlanError where the plan contradicts itself or is too large. */
export function encodePlan(plan: Plan): Uint8Array {
  verifyPlan(plan)
  const records = encodeRecords(plan)
  const out = new PlanWriter()
  for (const record of records) {
    out.u32(record.byteLength)
    out.bytes(record)
  }
  return verifySize(out.finish())
}

/** Strict inverse of `encodePlan`, for bytes of a process that runs a stranger's model. Throws PlanError. */
export function decodePlan(bytes: Uint8Array): Plan {
  verifySize(bytes)
  const records = splitRecords(bytes)
  const [head, ...rest] = records
  if (head === undefined) throw new PlanError('malformed', 'a plan of no bytes')
  const { inputs, outputs, blocks: table } = decodeHead(new PlanReader(head))
  let next = 0
  const blocks = table.map(({ steps, outputs }): Block => {
    if (steps > rest.length - next) throw new PlanError('malformed', 'a plan has fewer steps than it says')
    next += steps
    return {
      steps: rest.slice(next - steps, next).map((record) => decodeStep(new PlanReader(record))),
      outputs,
    }
  })
  if (next !== rest.length) throw new PlanError('malformed', 'a plan has more steps than it says')
  const parts = { inputs, outputs, blocks }
  verifyPlan(parts)
  return { ...parts, root: rootOf(records) }
}

function rootOf(records: readonly Uint8Array[]): Uint8Array {
  return merkleRoot(records.map(hashLeaf))
}

function verifySize(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength <= PLAN_BYTES_MAX) return bytes
  throw new PlanError('too-large', `a plan of ${bytes.byteLength} bytes; ${PLAN_BYTES_MAX} are the most`)
}

function splitRecords(bytes: Uint8Array): Uint8Array[] {
  const reader = new PlanReader(bytes)
  const records: Uint8Array[] = []
  while (!reader.isAtEnd()) {
    if (records.length > PLAN_STEPS_MAX) throw new PlanError('too-large', 'a plan of too many steps')
    records.push(reader.bytes(reader.u32()))
  }
  return records
}

function encodeRecords({ inputs, outputs, blocks }: Omit<Plan, 'root'>): Uint8Array[] {
  const head = new PlanWriter()
  head.bytes(HEAD_DOMAIN)
  head.u16(inputs.length)
  for (const name of inputs) head.text(name)
  head.u16(outputs.length)
  for (const { name, source } of outputs) {
    head.text(name)
    encodeSource(head, source)
  }
  head.u32(blocks.length)
  for (const block of blocks) {
    head.u32(block.steps.length)
    encodeSources(head, block.outputs)
  }
  return [head.finish(), ...blocks.flatMap(({ steps }) => steps.map(encodeStep))]
}

function decodeHead(reader: PlanReader) {
  if (Buffer.compare(reader.bytes(HEAD_DOMAIN.byteLength), HEAD_DOMAIN) !== 0) {
    throw new PlanError('malformed', 'these bytes are no plan of this version')
  }
  const inputs = reader.list(reader.u16(), () => reader.text())
  const outputs = reader.list(reader.u16(), () => ({ name: reader.text(), source: decodeSource(reader) }))
  const blocks = reader.list(reader.u32(), () => ({ steps: reader.u32(), outputs: decodeSources(reader) }))
  reader.end()
  return { inputs, outputs, blocks }
}

const HEAD_DOMAIN = Buffer.from('verimesh/plan/1\0', 'latin1')

function encodeStep(step: Step): Uint8Array {
  const out = new PlanWriter()
  out.u8(KINDS.indexOf(step.kind))
  out.text(step.domain)
  out.text(step.type)
  out.u32(step.opset)
  out.bytes(step.digest)
  encodeSources(out, step.operands)
  out.u16(step.outputs.length)
  for (const isThere of step.outputs) out.u8(isThere ? 1 : 0)
  switch (step.kind) {
    case 'operator':
      break
    case 'if':
      out.u32(step.thenBlock)
      out.u32(step.elseBlock)
      break
    case 'loop':
      out.u32(step.body)
      out.u16(step.carried)
      out.u8(step.iterationRank)
      out.u8(step.conditionRank)
      out.u16(step.scans.length)
      for (const { dtype, dims } of step.scans) {
        out.u8(dtype)
        out.u8(dims.length)
        for (const dim of dims) out.u64(dim)
      }
      break
    default:
      step satisfies never
  }
  return out.finish()
}

function decodeStep(reader: PlanReader): Step {
  const kind = KINDS[reader.u8()]
  const base = {
    domain: reader.text(),
    type: reader.text(),
    opset: reader.u32(),
    digest: reader.bytes(32),
    operands: decodeSources(reader),
    outputs: reader.list(reader.u16(), () => reader.flag() === 1),
  }
  const step = decodeKind(reader, kind, base)
  reader.end()
  return step
}

function decodeKind(
  reader: PlanReader,
  kind: Step['kind'] | undefined,
  base: Omit<Extract<Step, { kind: 'operator' }>, 'kind'>,
): Step {
  switch (kind) {
    case 'operator':
      return { kind, ...base }
    case 'if':
      return { kind, ...base, thenBlock: reader.u32(), elseBlock: reader.u32() }
    case 'loop':
      return {
        kind,
        ...base,
        body: reader.u32(),
        carried: reader.u16(),
        iterationRank: reader.flag(),
        conditionRank: reader.flag(),
        scans: reader.list(reader.u16(), () => ({
          dtype: reader.u8(),
          dims: reader.list(reader.u8(), () => reader.u64()),
        })),
      }
    default:
      throw new PlanError('malformed', 'a step of an unknown kind')
  }
}

const KINDS: readonly Step['kind'][] = ['operator', 'if', 'loop']

function encodeSources(out: PlanWriter, sources: readonly Source[]): void {
  out.u16(sources.length)
  for (const source of sources) encodeSource(out, source)
}

function decodeSources(reader: PlanReader): Source[] {
  return reader.list(reader.u16(), () => decodeSource(reader))
}

function encodeSource(out: PlanWriter, source: Source): void {
  out.u8(SOURCES.indexOf(source.kind))
  switch (source.kind) {
    case 'absent':
      return
    case 'constant':
      out.bytes(source.digest)
      return
    case 'input':
      out.u16(source.index)
      return
    case 'step':
      out.u8(source.up)
      out.u32(source.step)
      out.u16(source.output)
      return
    case 'carried':
      out.u8(source.up)
      out.u16(source.index)
      return
    default:
      source satisfies never
  }
}

function decodeSource(reader: PlanReader): Source {
  const kind = SOURCES[reader.u8()]
  switch (kind) {
    case 'absent':
      return { kind }
    case 'constant':
      return { kind, digest: reader.bytes(32) }
    case 'input':
      return { kind, index: reader.u16() }
    case 'step':
      return { kind, up: reader.u8(), step: reader.u32(), output: reader.u16() }
    case 'carried':
      return { kind, up: reader.u8(), index: reader.u16() }
    default:
      throw new PlanError('malformed', 'a source of an unknown kind')
  }
}

const SOURCES: readonly Source['kind'][] = ['absent', 'constant', 'input', 'step', 'carried']

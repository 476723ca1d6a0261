/** What every plan obeys, whoever made it: so that who walks one need not look twice. */
import { DTYPES, TENSOR_COUNT_MAX, TENSOR_NAME_BYTES_MAX, TENSOR_RANK_MAX } from '../tensor/index.ts'
import { POSITION_DEPTH_MAX } from '../trace/index.ts'
import { OPERATOR_NAME_BYTES_MAX, PLAN_STEPS_MAX, STEP_OPERANDS_MAX, STEP_OUTPUTS_MAX } from './constants.ts'
import { PlanError } from './errors.ts'
import type { Block, LoopStep, Plan, Source, Step } from './plan.ts'

/**
 * Throws PlanError unless: counts and names are within their limits; each block but the first belongs to exactly one `If`
 * or `Loop`, in the order of `Plan.blocks`, no deeper than a position can name; every source exists and was made before
 * it is used; outputs of branches and bodies are as many as their step asks for.
 */
export function verifyPlan({ inputs, outputs, blocks }: Omit<Plan, 'root'>): void {
  verifyNames(inputs, 'inputs')
  verifyNames(
    outputs.map(({ name }) => name),
    'outputs',
  )
  if (blocks.reduce((count, { steps }) => count + steps.length, 0) > PLAN_STEPS_MAX) {
    throw new PlanError('too-large', `a plan may have ${PLAN_STEPS_MAX} steps`)
  }
  const [main] = blocks
  if (main === undefined || main.outputs.length > 0) malformed('it has no main block')
  const frames: Frame[] = [{ block: main, depth: 0, inputs: inputs.length }]
  for (const [index, frame] of frames.entries()) {
    const { block } = frame
    for (const [at, step] of block.steps.entries()) {
      const where = `block ${index}, step ${at}`
      verifyStep(step, where)
      for (const source of step.operands) verifySource(source, frame, at, where)
      // Blocks are met in order, each by the one step that it belongs to.
      for (const child of enter(step, where)) {
        const childBlock = blocks[frames.length]
        if (child.index !== frames.length || childBlock === undefined)
          malformed(`${where} names a wrong block`)
        if (childBlock.outputs.length !== child.outputs) malformed(`${where} has a block with other outputs`)
        if (frame.depth === POSITION_DEPTH_MAX)
          throw new PlanError('too-large', `${where} is nested too deep`)
        frames.push({
          block: childBlock,
          depth: frame.depth + 1,
          inputs: inputs.length,
          outer: { frame, step: at },
          ...(child.carried === undefined ? {} : { carried: child.carried }),
        })
      }
    }
    const end = block.steps.length
    for (const source of block.outputs) verifyGiven(source, frame, end, `block ${index}`)
  }
  if (frames.length !== blocks.length) malformed('it has blocks that no step names')
  for (const { name, source } of outputs)
    verifyGiven(source, frames[0]!, main.steps.length, `output "${name}"`)
}

interface Frame {
  readonly block: Block
  readonly depth: number
  /** Of the model. */
  readonly inputs: number
  /** The block around it, and its own step there. */
  readonly outer?: { readonly frame: Frame; readonly step: number }
  /** Of a loop body, how many inputs it has. */
  readonly carried?: number
}

function enter(step: Step, where: string): { index: number; outputs: number; carried?: number }[] {
  switch (step.kind) {
    case 'operator':
      return []
    case 'if': {
      if (step.operands.length !== 1 || step.operands[0]?.kind === 'absent')
        malformed(`${where} has no condition`)
      const outputs = step.outputs.length
      return [
        { index: step.thenBlock, outputs },
        { index: step.elseBlock, outputs },
      ]
    }
    case 'loop':
      verifyLoop(step, where)
      return [{ index: step.body, outputs: 1 + step.carried + step.scans.length, carried: 2 + step.carried }]
    default:
      return step satisfies never
  }
}

function verifyLoop({ operands, outputs, carried, scans }: LoopStep, where: string): void {
  if (operands.length !== 2 + carried || operands.slice(2).some(({ kind }) => kind === 'absent')) {
    malformed(`${where} does not give all its carried values`)
  }
  if (outputs.length > carried + scans.length) malformed(`${where} has too many outputs`)
  if (carried + scans.length > STEP_OUTPUTS_MAX) throw new PlanError('too-large', `${where} carries too much`)
  for (const { dtype, dims } of scans) {
    if (DTYPES[dtype - 1] === undefined || dims.length >= TENSOR_RANK_MAX)
      malformed(`${where} has a scan output of no known form`)
    if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0))
      malformed(`${where} has a dimension that cannot be`)
  }
}

function verifyStep({ domain, type, opset, digest, operands, outputs }: Step, where: string): void {
  if (operands.length > STEP_OPERANDS_MAX || outputs.length > STEP_OUTPUTS_MAX) {
    throw new PlanError('too-large', `${where} has too many operands or outputs`)
  }
  for (const text of [domain, type]) {
    if (Buffer.byteLength(text, 'utf8') > OPERATOR_NAME_BYTES_MAX || !/^[\x21-\x7e]*$/.test(text))
      malformed(`${where} has a bad name`)
  }
  if (type === '') malformed(`${where} names no operator`)
  if (!Number.isInteger(opset) || opset < 1 || opset > 0xffff_ffff) malformed(`${where} has a bad version`)
  if (digest.byteLength !== 32) malformed(`${where} has a bad digest`)
  if (outputs.at(-1) === false) malformed(`${where} counts outputs that are left out`)
}

/** What leaves a block is there. */
function verifyGiven(source: Source, frame: Frame, end: number, where: string): void {
  if (source.kind === 'absent') malformed(`${where} gives nothing`)
  verifySource(source, frame, end, where)
}

function verifySource(source: Source, from: Frame, before: number, where: string): void {
  switch (source.kind) {
    case 'absent':
      return
    case 'constant':
      if (source.digest.byteLength !== 32) malformed(`${where} reads a constant with a bad digest`)
      return
    case 'input':
      if (!(source.index < from.inputs)) malformed(`${where} reads an input that is not there`)
      return
    case 'step': {
      const { frame, end } = climb(from, source.up, before, where)
      if (!(source.step < end) || frame.block.steps[source.step]?.outputs[source.output] !== true) {
        malformed(`${where} reads what no step before it gives`)
      }
      return
    }
    case 'carried': {
      const { frame } = climb(from, source.up, before, where)
      if (!(source.index < (frame.carried ?? 0))) malformed(`${where} reads what no loop carries`)
      return
    }
    default:
      source satisfies never
  }
}

/** The block that many outwards, and the step there before which a source must lie. */
function climb(from: Frame, up: number, before: number, where: string): { frame: Frame; end: number } {
  let frame = from
  let end = before
  for (let level = 0; level < up; level++) {
    if (frame.outer === undefined) malformed(`${where} reads from outside the model`)
    end = frame.outer.step
    frame = frame.outer.frame
  }
  return { frame, end }
}

function verifyNames(names: readonly string[], what: string): void {
  if (names.length > TENSOR_COUNT_MAX) throw new PlanError('too-large', `a plan has too many ${what}`)
  if (new Set(names).size !== names.length) malformed(`two of its ${what} have one name`)
  for (const name of names) {
    const isName =
      name !== '' && name.isWellFormed() && Buffer.byteLength(name, 'utf8') <= TENSOR_NAME_BYTES_MAX
    if (!isName) malformed(`its ${what} have a bad name`)
  }
}

function malformed(why: string): never {
  throw new PlanError('malformed', `not a plan: ${why}`)
}

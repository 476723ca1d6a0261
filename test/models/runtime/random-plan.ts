/** Plans of every shape that control flow can take, and a machine that computes nothing of meaning, but the same each time. */
import { createHash } from 'node:crypto'
import {
  type Block,
  createPlan,
  type OperatorStep,
  type Plan,
  type Source,
  type Step,
} from '../../../models/plan/index.ts'
import type { Machine } from '../../../models/runtime/interpreter.ts'
import {
  canonicalValue,
  digestValue,
  flagValue,
  iterationValue,
  type Value,
} from '../../../models/trace/index.ts'

export interface RandomPlan {
  readonly plan: Plan
  readonly constants: ReadonlyMap<string, Value>
  readonly inputs: readonly Value[]
}

interface Scope {
  readonly outer: Scope | undefined
  /** What a step may read here, seen from this block. */
  readonly sources: Source[]
}

/** Follows from `random`, which gives numbers in [0, 1). */
export function randomPlan(random: () => number): RandomPlan {
  const below = (count: number): number => Math.floor(random() * count)
  const constants = new Map<string, Value>()
  const blocks: Block[] = []
  const keep = (value: Value): Source => {
    const digest = digestValue(value)
    constants.set(hex(digest), value)
    return { kind: 'constant', digest }
  }
  const number = (index: number): Value => iterationValue(index)
  const inputs = [number(100), number(101)]
  const digestOf = (name: string): Uint8Array => createHash('sha256').update(name).digest()
  const base = { domain: '', opset: 17 }

  /** Any value in sight. */
  function pick(scope: Scope): Source {
    const sight: Source[] = []
    let up = 0
    for (let at: Scope | undefined = scope; at !== undefined; at = at.outer, up++) {
      for (const source of at.sources) {
        sight.push(source.kind === 'step' || source.kind === 'carried' ? { ...source, up } : source)
      }
    }
    return below(6) === 0 ? keep(number(below(50))) : sight[below(sight.length)]!
  }

  function operator(scope: Scope, type: string, outputs: number, operands: Source[]): OperatorStep {
    const present = Array.from({ length: outputs }, (_, at) => at === outputs - 1 || below(4) > 0)
    return {
      ...base,
      kind: 'operator',
      type,
      digest: digestOf(`${type}${scope.sources.length}`),
      operands,
      outputs: present,
    }
  }

  /** Pending blocks are filled in the order in which they are met, as a plan wants it. */
  const pending: (() => void)[] = []

  function fill(index: number, scope: Scope, depth: number, outputs: number, isBody: boolean): void {
    const steps: Step[] = []
    const add = (step: Step): void => {
      for (const [output, isThere] of step.outputs.entries()) {
        if (isThere) scope.sources.push({ kind: 'step', up: 0, step: steps.length, output })
      }
      steps.push(step)
    }
    for (let count = 1 + below(4); count > 0; count--) {
      const kind = depth === 0 ? 0 : below(4)
      if (kind <= 1) {
        const operands = Array.from({ length: below(4) }, () =>
          below(8) === 0 ? ({ kind: 'absent' } as const) : pick(scope),
        )
        add(operator(scope, 'Mix', 1 + below(3), operands))
      } else if (kind === 2) {
        add(operator(scope, 'Flag', 1, [pick(scope)]))
        const condition: Source = { kind: 'step', up: 0, step: steps.length - 1, output: 0 }
        const given = 1 + below(2)
        const [thenBlock, elseBlock] = [
          open(scope, depth - 1, given, false),
          open(scope, depth - 1, given, false),
        ]
        const outputs = Array.from({ length: given }, (_, at) => at === given - 1 || below(3) > 0)
        add({
          ...base,
          kind: 'if',
          type: 'If',
          digest: digestOf('If'),
          operands: [condition],
          outputs,
          thenBlock,
          elseBlock,
        })
      } else {
        const [carried, scans] = [below(3), below(3)]
        let trip = keep(number(below(5) - 1))
        if (below(3) === 0) {
          add(operator(scope, 'Count', 1, [pick(scope)]))
          trip = { kind: 'step', up: 0, step: steps.length - 1, output: 0 }
        }
        const operands: Source[] = [
          trip,
          below(2) === 0 ? { kind: 'absent' } : keep(flagValue(below(4) > 0)),
          ...Array.from({ length: carried }, () => pick(scope)),
        ]
        const body = open(scope, depth - 1, 1 + carried + scans, true, carried)
        add({
          ...base,
          kind: 'loop',
          type: 'Loop',
          digest: digestOf('Loop'),
          operands,
          outputs: trimmed(Array.from({ length: carried + scans }, () => below(4) > 0)),
          body,
          carried,
          iterationRank: 0,
          conditionRank: below(2) === 0 ? 0 : 1,
          scans: Array.from({ length: scans }, () => ({ dtype: 7, dims: [] })),
        })
      }
    }
    let given: Source[] = []
    if (isBody) {
      add(operator(scope, 'Flag', 1, [pick(scope)]))
      given.push({ kind: 'step', up: 0, step: steps.length - 1, output: 0 })
    }
    // Numbers only: flags are for those who steer.
    while (given.length < outputs) {
      add(operator(scope, 'Mix', 1, [pick(scope)]))
      const last: Source = { kind: 'step', up: 0, step: steps.length - 1, output: 0 }
      given.push(below(5) === 0 ? keep(number(below(9))) : last)
    }
    if (index === 0) given = []
    blocks[index] = { steps, outputs: given }
  }

  function open(outer: Scope, depth: number, outputs: number, isBody: boolean, carried = 0): number {
    const index = blocks.length
    blocks.push({ steps: [], outputs: [] })
    const seen = { outer: outer.outer, sources: [...outer.sources] }
    const sources: Source[] = isBody
      ? Array.from({ length: 2 + carried }, (_, at) => ({ kind: 'carried', up: 0, index: at }))
      : []
    pending.push(() => fill(index, { outer: seen, sources }, depth, outputs, isBody))
    return index
  }

  blocks.push({ steps: [], outputs: [] })
  const main: Scope = { outer: undefined, sources: inputs.map((_, index) => ({ kind: 'input', index })) }
  fill(0, main, 3, 0, false)
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) next()
  const outputs = ['a', 'b', 'c'].map((name) => ({
    name,
    source: pick({ outer: undefined, sources: main.sources }),
  }))
  return { plan: createPlan({ inputs: ['p', 'q'], outputs, blocks }), constants, inputs }
}

export interface ToyMachine extends Machine<object> {
  readonly live: ReadonlySet<object>
  /** Values that were alive at one time. */
  peak(): number
  /** How many operators run before one fails. */
  failAfter: number
}

/** Operators give what follows from the digests of their operands. Throws where a value is used after its release. */
export function createToyMachine(constants: ReadonlyMap<string, Value>): ToyMachine {
  const values = new Map<object, Value>()
  const live = new Set<object>()
  let peak = 0
  const write = (value: Value): object => {
    const handle = {}
    values.set(handle, value)
    live.add(handle)
    peak = Math.max(peak, live.size)
    return handle
  }
  const read = (handle: object): Value => {
    if (!live.has(handle)) throw new Error('a value is used after its release')
    return values.get(handle)!
  }
  const machine: ToyMachine = {
    live,
    peak: () => peak,
    failAfter: Number.POSITIVE_INFINITY,
    run(step, operands) {
      if (machine.failAfter-- <= 0) throw new Error('the machine failed')
      const hash = createHash('sha256').update(step.digest)
      for (const operand of operands) hash.update(operand === undefined ? '-' : digestValue(read(operand)))
      const bytes = hash.digest()
      return step.outputs.map((isThere, at) => {
        if (!isThere) return undefined
        if (step.type === 'Flag') return write(flagValue(bytes[0]! % 4 > 0))
        return write(iterationValue(step.type === 'Count' ? bytes[0]! % 4 : bytes.readUInt32LE(4 + at)))
      })
    },
    constant: (digest) => constants.get(hex(digest))!,
    write,
    isCanonical: (handle) => canonicalValue(read(handle)) === read(handle),
    read,
    digest: (handle) => digestValue(read(handle)),
    bytes: (handle) => read(handle).data.byteLength,
    release(handle) {
      if (!live.delete(handle)) throw new Error('a value is released twice')
    },
  }
  return machine
}

/** Without the trailing ones that are left out. */
function trimmed(outputs: readonly boolean[]): boolean[] {
  return outputs.slice(0, outputs.lastIndexOf(true) + 1)
}

function hex(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex')
}

/**
 * A model for every entry of the exact lane's list: each operator in each version of its domain with each of its element
 * types, in awkward shapes, once with everything fed and once with all but the first operand as constants, since what is a
 * constant changes which code the engine runs.
 */
import { listedOperators } from '../../../models/graph/operators.ts'
import type { DType, Tensor } from '../../../models/tensor/index.ts'
import { buildModel, type OnnxNode, type OnnxTensor, type OnnxValue } from '../../fixtures/onnx-builder.ts'
import type { Case, Zoo } from './case.ts'
import { CONTROL_ZOO } from './control.ts'
import { ELEMENT_ZOO } from './elements.ts'
import { LAYOUT_ZOO } from './layout.ts'
import { NEURAL_ZOO } from './neural.ts'
import { MICROSOFT_ZOO, QUANTISED_ZOO } from './quantised.ts'
import { REDUCTION_ZOO } from './reductions.ts'

const ZOOS: ReadonlyMap<string, Zoo> = new Map([
  ['', { ...ELEMENT_ZOO, ...REDUCTION_ZOO, ...LAYOUT_ZOO, ...NEURAL_ZOO, ...QUANTISED_ZOO, ...CONTROL_ZOO }],
  ['com.microsoft', MICROSOFT_ZOO],
])

/** One cell of the list. */
export interface Cell {
  readonly domain: string
  readonly type: string
  readonly opset: number
  readonly dtype: DType
}

/** A cell's cases as one model; step `i` of its main graph is of case `caseOf[i]`. */
export interface ZooModel {
  readonly bytes: Uint8Array
  readonly inputs: readonly Tensor[]
  readonly caseOf: readonly number[]
}

/** Every cell of the list: each entry in each version and with each element type. */
export function listedCells(): Cell[] {
  return listedOperators().flatMap(({ domain, type, opsetFirst, opsetLast, dtypes }) =>
    Array.from({ length: opsetLast - opsetFirst + 1 }, (_, at) => opsetFirst + at).flatMap((opset) =>
      [...dtypes].map((dtype) => ({ domain, type, opset, dtype })),
    ),
  )
}

/** Undefined where the zoo does not know the operator at all. */
export function casesOf({ domain, type, opset, dtype }: Cell): readonly Case[] | undefined {
  const zoo = ZOOS.get(domain)
  return zoo !== undefined && Object.hasOwn(zoo, type) ? zoo[type]!(opset, dtype) : undefined
}

export function buildZooModel({ domain, type, opset }: Cell, cases: readonly Case[]): ZooModel {
  const inputs: Tensor[] = []
  const initializers: OnnxTensor[] = []
  const nodes: OnnxNode[] = []
  const caseOf: number[] = []
  for (const [index, one] of cases.entries()) {
    for (const isFed of [true, false]) {
      if (!isFed && one.operands.length === 1) continue
      const names = one.operands.map((operand, position) => {
        if (operand === undefined) return ''
        const name = `v${nodes.length}_${position}`
        if (isFed || position === 0) inputs.push({ name, ...operand })
        else initializers.push({ name, ...operand })
        return name
      })
      const outputs = Array.from({ length: one.outputs ?? 1 }, (_, at) => `o${nodes.length}_${at}`)
      nodes.push({ ...one.node, operator: type, domain, inputs: names, outputs })
      caseOf.push(index)
    }
  }
  const stated: OnnxValue[] = inputs.map(({ name, dtype, dims }) => ({ name, dtype, dims }))
  // A graph has an output, which needs a type; what the operators give has another each and nobody reads it.
  const bytes = buildModel(
    { inputs: stated, outputs: stated.slice(0, 1), nodes, initializers },
    domain === '' ? { opset, irVersion: 10 } : { irVersion: 10, domains: { [domain]: opset } },
  )
  return { bytes, inputs, caseOf }
}

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  AttributeProto_AttributeType as AttributeType,
  type NodeProto,
} from '../../../models/graph/generated/onnx_pb.js'
import { GraphError, type OnnxModel, readModel } from '../../../models/graph/index.ts'
import { type OnnxGraph, type OnnxNode, tensorOf } from '../../fixtures/onnx-builder.ts'
import { build, clone, disguise, everyShape, nodesOf, planOf, rootOf, scalar, value } from './shapes.ts'

const model = readModel(everyShape())
const root = rootOf(model)

test('one operator has the golden digest', () => {
  // "verimesh/operator/1\0", domain "", type "Elu", version 17, one attribute: "alpha", FLOAT, 2.0, none unknown; none
  // unknown of the node; one operand, there; no captures; one output, there.
  const [step] = planOf(
    build([{ operator: 'Elu', name: 'e', inputs: ['x', ''], outputs: ['y', ''], floats: { alpha: 2 } }]),
  ).blocks[0]!.steps
  const form = [
    '766572696d6573682f6f70657261746f722f3100',
    '00000000 03000000 456c75 11000000',
    '01000000 05000000 616c706861 01 00000040 00000000',
    '00000000',
    '01000000 01',
    '00000000',
    '01000000 01',
  ]
  const bytes = Buffer.from(form.join('').replaceAll(' ', ''), 'hex')
  const expected = new Uint8Array(createHash('sha256').update(bytes).digest())
  assert.equal(new Uint8Array(step!.digest), expected)
})

test('no name of an inner value or node, order of attributes or documentation shows in the plan', () => {
  fc.assert(
    fc.property(fc.string(), fc.boolean(), fc.func(fc.integer()), (affix, isBefore, order) => {
      const rename = (name: string): string => (isBefore ? `${affix}_${name}` : `${name}_${affix}`)
      // Backwards, too: what is sorted by name must not be names of values.
      const backwards = (name: string): string =>
        [...rename(name)].map((one) => String.fromCodePoint(0x10ffff - one.codePointAt(0)!)).join('')
      for (const each of [rename, backwards]) assert.is(rootOf(disguise(model, each, order)), root)
    }),
    { numRuns: 50 },
  )
})

test('a hidden name is as good as another', () => {
  const copy = clone(model)
  const loop = copy.graph.node.find(({ opType }) => opType === 'Loop')!
  const body = loop.attribute[0]!.g!
  for (const node of body.node) {
    node.input = node.input.map((name) => (name === 'scanned' ? 'halved' : name))
    node.output = node.output.map((name) => (name === 'scanned' ? 'halved' : name))
  }
  assert.is(rootOf(copy), root)
})

test('ai.onnx is the domain without a name', () => {
  const copy = clone(model)
  for (const node of nodesOf(copy.graph)) node.domain = 'ai.onnx'
  assert.is(rootOf(copy), root)
  for (const opset of copy.opsetImport) opset.domain = 'ai.onnx'
  assert.is(rootOf(copy), root)
  copy.opsetImport.push({ ...copy.opsetImport[0]!, domain: '', version: 16n })
  assert.throws(() => rootOf(copy), isCode('corrupt-model'))
})

test('any attribute, constant, wire, type of operator or version shows in the plan', () => {
  const nodes = nodesOf(model.graph)
  const mutations: ((copy: OnnxModel, node: NodeProto, pick: number) => boolean)[] = [
    // The type of an operator.
    (_copy, node) => {
      const other: Record<string, string> = { Add: 'Sub', Sub: 'Add', Mul: 'Div', Neg: 'Abs', Abs: 'Neg' }
      if (other[node.opType] === undefined) return false
      node.opType = other[node.opType]!
      return true
    },
    // An attribute's value, or its name.
    (_copy, node, pick) => {
      const attribute = node.attribute[pick % (node.attribute.length || 1)]
      switch (attribute?.type) {
        case AttributeType.INT:
          attribute.i += 1n << BigInt(pick % 63)
          return true
        case AttributeType.INTS:
          attribute.ints.push(0n)
          return true
        case AttributeType.FLOAT:
          attribute.f += 1
          return true
        default:
          return false
      }
    },
    // An attribute more.
    (_copy, node) => {
      if (node.opType === 'Constant') return false
      const [attribute] = readModel(
        build([{ operator: 'Elu', inputs: ['x'], outputs: ['y'], floats: { extra: 0 } }]),
      ).graph.node[0]!.attribute
      node.attribute.push(attribute!)
      return true
    },
    // Operands in another order.
    (_copy, node) => {
      if (node.input.length !== 2 || node.input[0] === node.input[1]) return false
      if (node.opType === 'Scan' || node.opType === 'ReduceSum') return false
      node.input.reverse()
      return true
    },
    // One bit of a constant of the main graph.
    (copy, _node, pick) => {
      const raw = copy.graph.initializer[0]!.rawData.slice()
      raw[pick % raw.length]! ^= 1 << (pick % 8)
      copy.graph.initializer[0]!.rawData = raw
      return true
    },
    // One bit of a constant in a subgraph.
    (_copy, node, pick) => {
      const tensor = node.attribute.find(({ g }) => (g?.initializer.length ?? 0) > 0)?.g?.initializer[0]
      if (tensor === undefined) return false
      const raw = tensor.rawData.slice()
      raw[pick % raw.length]! ^= 1 << (pick % 8)
      tensor.rawData = raw
      return true
    },
    // The form of a constant.
    (copy) => {
      copy.graph.initializer[0]!.dims = [1n, 1n]
      return true
    },
    // The version of the operators.
    (copy, _node, pick) => {
      copy.opsetImport[0]!.version = [13n, 14n, 15n, 16n, 18n, 19n][pick % 6]!
      return true
    },
    // The names by which the model is fed and answers.
    (copy) => {
      for (const one of copy.graph.output) if (one.name === 'all') one.name = 'every'
      for (const node of copy.graph.node)
        node.output = node.output.map((name) => (name === 'all' ? 'every' : name))
      return true
    },
    // The order of the outputs.
    (copy) => {
      copy.graph.output.reverse()
      return true
    },
    // A field that the format as known here does not have.
    (_copy, node) => {
      if (node.opType === 'Constant') return false
      node.$unknown = [{ no: 99, wireType: 0, data: Uint8Array.of(1) }]
      return true
    },
  ]
  const applied = new Set<number>()
  fc.assert(
    fc.property(
      fc.nat({ max: mutations.length - 1 }),
      fc.nat({ max: nodes.length - 1 }),
      fc.nat({ max: 1000 }),
      (mutation, at, pick) => {
        const copy = clone(model)
        if (!mutations[mutation]!(copy, nodesOf(copy.graph)[at]!, pick)) return
        applied.add(mutation)
        assert.is.not(rootOf(copy), root, `mutation ${mutation} of node ${at} by ${pick}`)
      },
    ),
    { numRuns: 600, seed: 3 },
  )
  assert.is(applied.size, mutations.length)
})

test('whether an optional operand or output is there shows, one at the end that is left out does not', () => {
  const digest = (inputs: readonly string[], outputs: readonly string[]) => {
    const bytes = build([{ operator: 'LSTM', inputs, outputs, integers: { hidden_size: 1 } }])
    return Buffer.from(planOf(bytes).blocks[0]!.steps[0]!.digest).toString('hex')
  }
  const plain = digest(['x', 'x', 'x'], ['y'])
  assert.is(digest(['x', 'x', 'x', '', ''], ['y', '', '']), plain)
  const others = [
    digest(['x', 'x', 'x', 'x'], ['y']),
    digest(['x', 'x', 'x', '', 'x'], ['y']),
    digest(['x', 'x', 'x'], ['y', 'h']),
    digest(['x', 'x', 'x'], ['', 'y']),
  ]
  assert.is(new Set([plain, ...others]).size, 5)
})

test('what a Scan captures is told from what it is given', () => {
  const scan = (inputs: readonly string[], body: OnnxGraph): string => {
    const node: OnnxNode = {
      operator: 'Scan',
      inputs,
      outputs: ['y'],
      integers: { num_scan_inputs: inputs.length },
      graphs: { body },
    }
    return rootOf(build([node], { inputs: [value('x'), value('z')] }))
  }
  const body = (inputs: readonly string[], operands: readonly string[]): OnnxGraph => ({
    inputs: inputs.map((name) => value(name, 'float32', [])),
    outputs: [value('out', 'float32')],
    nodes: [{ operator: 'Add', inputs: operands, outputs: ['out'] }],
  })
  const roots = [
    scan(['x'], body(['a'], ['a', 'z'])),
    scan(['x'], body(['a'], ['z', 'a'])),
    scan(['x', 'z'], body(['a', 'b'], ['a', 'b'])),
    scan(['x', 'z'], body(['a', 'b'], ['a', 'z'])),
    scan(['x'], body(['a'], ['a', 'a'])),
  ]
  assert.is(new Set(roots).size, roots.length)
})

test('a graph within a graph of a Scan is bound to the very value that it reads', () => {
  const choice = (name: string): string => {
    const branch: OnnxGraph = {
      inputs: [],
      outputs: [value('got', 'float32', [])],
      nodes: [{ operator: 'Neg', inputs: [name], outputs: ['got'] }],
    }
    const body: OnnxGraph = {
      inputs: [value('row', 'float32', [])],
      outputs: [value('out', 'float32', [])],
      initializers: [scalar('own', 1)],
      nodes: [
        { operator: 'Cast', inputs: ['row'], outputs: ['flag'], integers: { to: 9 } },
        { operator: 'Abs', inputs: ['row'], outputs: ['size'] },
        {
          operator: 'If',
          inputs: ['flag'],
          outputs: ['out'],
          graphs: { then_branch: branch, else_branch: branch },
        },
      ],
    }
    const node: OnnxNode = {
      operator: 'Scan',
      inputs: ['x'],
      outputs: ['y'],
      integers: { num_scan_inputs: 1 },
      graphs: { body },
    }
    return rootOf(build([node], { initializers: [tensorOf('far', 'float32', [], [2])] }))
  }
  const roots = ['row', 'size', 'own', 'far'].map(choice)
  assert.is(new Set(roots).size, roots.length)
})

function isCode(code: GraphError['code']) {
  return (error: unknown) => error instanceof GraphError && error.code === code
}

test.run()

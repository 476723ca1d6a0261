import { create, type Message, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  type GraphProtoSchema,
  ModelProtoSchema,
} from '../../../models/graph/generated/onnx_pb.js'
import {
  externalDataExtents,
  externalDataLocations,
  GraphError,
  type GraphErrorCode,
  modelSignature,
  readModel,
} from '../../../models/graph/index.ts'

type GraphInit = MessageInitShape<typeof GraphProtoSchema>
type ModelInit = Partial<Omit<Exclude<MessageInitShape<typeof ModelProtoSchema>, Message>, 'graph'>>

const FLOAT = 1

test('reads a model without copying its weights', () => {
  const bytes = encode({})
  const model = readModel(bytes)
  const weights = model.graph.initializer[0]!.rawData
  assert.is(weights.buffer, bytes.buffer)
  assert.equal([...weights], [0, 0, 0, 0])
})

test('keeps fields that it does not know', () => {
  // Field 999, a varint: no version of the specification has it.
  const bytes = Buffer.concat([encode({}), Buffer.from('b83e2a', 'hex')])
  assert.equal(Buffer.from(toBinary(ModelProtoSchema, readModel(bytes))), bytes)
})

test('reads one golden model', () => {
  const golden = [
    '08 08', // ir_version 8
    '3a 29', // graph, 41 bytes
    '  0a 0e', // node
    '     0a 01 78', // input "x"
    '     12 01 79', // output "y"
    '     22 06 4e6567617465', // op_type "Negate", whose existence is not for the reader to judge
    '  12 01 67', // name "g"
    '  5a 0f 0a 01 78 12 0a 0a 08 08 01 12 04 0a 02 08 02', // input "x": tensor of float, one dimension of 2
    '  62 03 0a 01 79', // output "y"
    '42 02 10 0d', // opset_import: version 13
  ]
  const model = readModel(Buffer.from(golden.join('').replaceAll(' ', ''), 'hex'))
  assert.is(model.irVersion, 8n)
  assert.is(model.graph.name, 'g')
  assert.equal(model.graph.node[0]?.opType, 'Negate')
  assert.is(model.opsetImport[0]?.version, 13n)
})

test('refuses every truncation', () => {
  const bytes = encode({})
  // The operator set comes after the graph, so that no cut leaves a whole model.
  for (let length = 0; length < bytes.length; length++)
    refuses(() => readModel(bytes.subarray(0, length)), 'corrupt-model')
})

test('never crashes on a changed byte', () => {
  const bytes = encode({})
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const mutant = bytes.slice()
      mutant[at] = mutant[at]! ^ change
      try {
        const model = readModel(mutant)
        modelSignature(model)
        externalDataLocations(model)
      } catch (error) {
        assert.instance(error, GraphError)
      }
    }),
    { numRuns: 2000 },
  )
})

test('refuses what is no model', () => {
  refuses(() => readModel(new Uint8Array()), 'corrupt-model')
  refuses(() => readModel(Buffer.from('<!doctype html><p>Not found')), 'corrupt-model')
  refuses(() => readModel(Buffer.from('version https://git-lfs.github.com/spec/v1\n')), 'corrupt-model')
  refuses(() => readModel(encode({ irVersion: 0n })), 'corrupt-model')
  refuses(() => readModel(encode({ opsetImport: [] })), 'corrupt-model')
  refuses(() => readModel(encode({}, { output: [] })), 'corrupt-model')
})

test('refuses a graph that reads what nothing produces', () => {
  refuses(
    () => readModel(encode({}, { node: [{ input: ['z'], output: ['y'], opType: 'Neg' }] })),
    'corrupt-model',
  )
  refuses(() => readModel(encode({}, { node: [] })), 'corrupt-model')
})

test('refuses subgraphs nested without end', () => {
  let graph: GraphInit = {}
  for (let depth = 0; depth < 200; depth++) {
    graph = {
      node: [{ opType: 'If', attribute: [{ name: 'then_branch', type: AttributeType.GRAPH, g: graph }] }],
    }
  }
  refuses(() => readModel(encode({}, { node: graph.node ?? [] })), 'corrupt-model')
})

test('states inputs that are not initializers, and outputs', () => {
  const signature = modelSignature(readModel(encode({})))
  assert.equal(signature, {
    inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', 2, '?x.2', '?x.3'] }],
    outputs: [{ name: 'y', dtype: 'int64', dims: [] }],
  })
})

test('refuses inputs and outputs that do not travel', () => {
  const kinds: [string, NonNullable<GraphInit['output']>[number]['type']][] = [
    ['no type', undefined],
    ['a sequence', { value: { case: 'sequenceType', value: {} } }],
    ['a map', { value: { case: 'mapType', value: { keyType: 7 } } }],
    ['an optional', { value: { case: 'optionalType', value: {} } }],
    ['text', { value: { case: 'tensorType', value: { elemType: 8, shape: {} } } }],
    ['bfloat16', { value: { case: 'tensorType', value: { elemType: 16, shape: {} } } }],
    ['no shape', { value: { case: 'tensorType', value: { elemType: FLOAT } } }],
  ]
  for (const [what, type] of kinds) {
    const model = readModel(
      encode({}, { output: [type === undefined ? { name: 'y' } : { name: 'y', type }] }),
    )
    refuses(() => modelSignature(model), 'unsupported-value', what)
  }
})

test('finds external data wherever a tensor can be', () => {
  const tensor = (location: string, offset = '0', length = '4') => ({
    name: location,
    dataType: FLOAT,
    dataLocation: DataLocation.EXTERNAL,
    externalData: [
      { key: 'location', value: location },
      { key: 'offset', value: offset },
      { key: 'length', value: length },
    ],
  })
  const constant = (location: string) => ({
    opType: 'Constant',
    attribute: [{ name: 'value', t: tensor(location) }],
  })
  const model = readModel(
    encode(
      {
        functions: [
          {
            name: 'f',
            node: [constant('in-function')],
            attributeProto: [{ name: 'd', t: tensor('in-default') }],
          },
        ],
      },
      {
        initializer: [
          tensor('initializer', '8', '4'),
          { ...tensor('initializer', '0', '16'), name: 'second' },
        ],
        sparseInitializer: [{ values: tensor('sparse-values'), indices: tensor('sparse-indices') }],
        node: [
          { input: ['x'], output: ['y'], opType: 'Neg' },
          constant('in-attribute'),
          {
            opType: 'If',
            attribute: [
              { name: 'then_branch', g: { node: [constant('in-subgraph')], initializer: [tensor('deep')] } },
              { name: 'graphs', graphs: [{ initializer: [tensor('in-graphs')] }] },
              {
                name: 'tensors',
                tensors: [tensor('in-list')],
                sparseTensors: [{ values: tensor('in-sparse-list') }],
              },
            ],
          },
        ],
      },
    ),
  )
  assert.equal(externalDataLocations(model), [
    'deep',
    'in-attribute',
    'in-default',
    'in-function',
    'in-graphs',
    'in-list',
    'in-sparse-list',
    'in-subgraph',
    'initializer',
    'sparse-indices',
    'sparse-values',
  ])
  assert.is(externalDataExtents(model).get('initializer'), 16)
})

test('refuses external data without a place, or with a senseless one', () => {
  const broken = [
    [],
    [
      { key: 'location', value: 'w' },
      { key: 'offset', value: '-1' },
    ],
    [
      { key: 'location', value: 'w' },
      { key: 'length', value: 'all' },
    ],
  ]
  for (const externalData of broken) {
    const model = readModel(
      encode({}, { initializer: [{ dataLocation: DataLocation.EXTERNAL, externalData }] }),
    )
    refuses(() => externalDataLocations(model), 'corrupt-model')
  }
})

/** `y = Neg(x)`, with an input that has an initializer, so that it is no input. */
function encode(change: ModelInit, graph: GraphInit = {}): Uint8Array {
  const shape = {
    dim: [
      { value: { case: 'dimParam' as const, value: 'batch' } },
      { value: { case: 'dimValue' as const, value: 2n } },
      { value: { case: 'dimValue' as const, value: -1n } },
      {},
    ],
  }
  const init: MessageInitShape<typeof ModelProtoSchema> = {
    irVersion: 8n,
    opsetImport: [{ version: 17n }],
    ...change,
    graph: {
      node: [{ input: ['x', ''], output: ['y'], opType: 'Neg' }],
      initializer: [{ name: 'w', dims: [1n], dataType: FLOAT, rawData: new Uint8Array(4) }],
      input: [
        { name: 'x', type: { value: { case: 'tensorType', value: { elemType: FLOAT, shape } } } },
        { name: 'w', type: { value: { case: 'tensorType', value: { elemType: FLOAT, shape: {} } } } },
      ],
      output: [{ name: 'y', type: { value: { case: 'tensorType', value: { elemType: 7, shape: {} } } } }],
      ...graph,
    },
  }
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, init))
}

function refuses(act: () => unknown, code: GraphErrorCode, which?: string): void {
  assert.throws(act, (error: unknown) => error instanceof GraphError && error.code === code, which)
}

test.run()

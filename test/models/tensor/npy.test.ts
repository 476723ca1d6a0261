import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  decodeNpy,
  encodeNpy,
  type Tensor,
  TensorError,
  type TensorErrorCode,
} from '../../../models/tensor/index.ts'
import { anyTensor } from './arbitrary.ts'

// What `numpy.save` writes for numpy.array([[1, 2, 3]], dtype='<i2').
const GOLDEN = Buffer.concat([
  Buffer.from('934e554d5059', 'hex'), // magic
  Buffer.from('0100', 'hex'), // version 1.0
  Buffer.from('7600', 'hex'), // 118 bytes of header
  Buffer.from("{'descr': '<i2', 'fortran_order': False, 'shape': (1, 3), }".padEnd(117)),
  Buffer.from('\n'),
  Buffer.from('010002000300', 'hex'),
])

test('writes and reads what NumPy writes', () => {
  const tensor: Tensor = { name: 'a', dtype: 'int16', dims: [1, 3], data: Uint8Array.of(1, 0, 2, 0, 3, 0) }
  assert.equal(Buffer.from(encodeNpy(tensor)), GOLDEN)
  assert.equal(plain(decodeNpy('a', GOLDEN)), tensor)
})

test('gives back what went in', () => {
  fc.assert(
    fc.property(anyTensor(), (tensor) => {
      assert.equal(decodeNpy(tensor.name, encodeNpy(tensor)), tensor)
    }),
  )
})

test('reads version 2.0, keys in another order and one byte with an order mark', () => {
  const header = "{'shape': (2,), 'descr': '<u1', 'fortran_order': False}\n"
  const bytes = npy(header, [7, 8], 2)
  assert.equal(plain(decodeNpy('a', bytes)), {
    name: 'a',
    dtype: 'uint8',
    dims: [2],
    data: Uint8Array.of(7, 8),
  })
})

test('takes Fortran order where it means nothing', () => {
  const bytes = npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2,), }\n", [7, 8])
  assert.equal(decodeNpy('a', bytes).dims, [2])
})

const REFUSED: readonly [string, string, TensorErrorCode][] = [
  ['Fortran order', "{'descr': '|u1', 'fortran_order': True, 'shape': (1, 2), }\n", 'malformed-npy'],
  ['big-endian', "{'descr': '>u2', 'fortran_order': False, 'shape': (1,), }\n", 'unsupported-dtype'],
  ['objects', "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n", 'unsupported-dtype'],
  ['text', "{'descr': '<U1', 'fortran_order': False, 'shape': (2,), }\n", 'unsupported-dtype'],
  ['records', "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (2,), }\n", 'unsupported-dtype'],
  ['too little data', "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n", 'malformed-npy'],
  ['too much data', "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }\n", 'malformed-npy'],
  ['a missing key', "{'descr': '|u1', 'shape': (2,), }\n", 'malformed-npy'],
  ['an unknown key', "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'x': True}\n", 'malformed-npy'],
  [
    'a key twice',
    "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}\n",
    'malformed-npy',
  ],
  ['a negative dimension', "{'descr': '|u1', 'fortran_order': False, 'shape': (-2,), }\n", 'malformed-npy'],
  ['code', "{'descr': '|u1', 'fortran_order': False, 'shape': (1+1,), }\n", 'malformed-npy'],
  [
    'rank 17',
    `{'descr': '|u1', 'fortran_order': False, 'shape': (${'1, '.repeat(16)}2), }\n`,
    'malformed-npy',
  ],
  [
    'an endless shape',
    "{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999999999999999,), }\n",
    'size-mismatch',
  ],
]

for (const [what, header, code] of REFUSED) {
  test(`refuses ${what}`, () => refuses(() => decodeNpy('a', npy(header, [7, 8])), code))
}

test('refuses every truncation and unknown versions', () => {
  for (let length = 0; length < GOLDEN.length; length++) {
    refuses(() => decodeNpy('a', GOLDEN.subarray(0, length)), 'malformed-npy')
  }
  const third = Buffer.from(GOLDEN)
  third[6] = 3
  refuses(() => decodeNpy('a', third), 'malformed-npy')
})

test('never crashes on a changed byte', () => {
  fc.assert(
    fc.property(fc.nat({ max: GOLDEN.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const mutant = Buffer.from(GOLDEN)
      mutant[at] = mutant[at]! ^ change
      try {
        decodeNpy('a', mutant)
      } catch (error) {
        assert.instance(error, TensorError)
      }
    }),
    { numRuns: 1000 },
  )
})

function npy(header: string, data: readonly number[], major: 1 | 2 = 1): Uint8Array {
  const lengthBytes = Buffer.alloc(major === 1 ? 2 : 4)
  lengthBytes.writeUInt16LE(header.length)
  return Buffer.concat([
    Buffer.from('934e554d5059', 'hex'),
    Buffer.of(major, 0),
    lengthBytes,
    Buffer.from(header),
    Buffer.from(data),
  ])
}

function plain(tensor: Tensor): Tensor {
  return { ...tensor, data: Uint8Array.from(tensor.data) }
}

function refuses(act: () => unknown, code: TensorErrorCode): void {
  assert.throws(act, (error: unknown) => error instanceof TensorError && error.code === code)
}

test.run()

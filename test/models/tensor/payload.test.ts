import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  allocatePayload,
  DTYPES,
  decodeTensorHeaders,
  decodeTensors,
  digestTensors,
  digestTensorsInBackground,
  ELEMENT_BYTES,
  elementCount,
  encodeTensorPieces,
  encodeTensors,
  float32Elements,
  PAYLOAD_BYTES_MAX,
  type Tensor,
  TensorError,
  type TensorErrorCode,
} from '../../../models/tensor/index.ts'
import { anyTensors } from './arbitrary.ts'

const TWO: readonly Tensor[] = [
  { name: 'x', dtype: 'float32', dims: [2], data: Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0) },
  { name: 'ab', dtype: 'bool', dims: [], data: Uint8Array.of(1) },
]

// One golden payload. It changes only together with the version of every protocol that carries it.
const GOLDEN = [
  '564d5431', // "VMT1"
  '02000000', // two tensors
  '20000000', // 32 bytes of header, padding included
  '00000000', // reserved
  '0200 08 00', // name of 2 bytes, type 8 = bool, rank 0
  '6162', // "ab", which sorts before "x"
  '0100 01 01', // name of 1 byte, type 1 = float32, rank 1
  '02000000', // dimension 2
  '78', // "x"
  '00', // padding up to 32
  '01 00000000000000', // true, padding up to 40
  '0000803f 000000c0', // 1, -2
]
  .join('')
  .replaceAll(' ', '')

test('has the golden bytes, in any order of the tensors', () => {
  assert.is(Buffer.from(encodeTensors(TWO)).toString('hex'), GOLDEN)
  assert.is(Buffer.from(encodeTensors(TWO.toReversed())).toString('hex'), GOLDEN)
})

test('gives back what went in', () => {
  fc.assert(
    fc.property(anyTensors(), (tensors) => {
      const payload = encodeTensors(tensors)
      const sorted = tensors.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
      assert.equal(decodeTensors(payload), sorted)
      assert.equal(encodeTensors(decodeTensors(payload)), payload)
    }),
  )
})

test('decodes without copying', () => {
  const payload = encodeTensors(TWO)
  for (const { data } of decodeTensors(payload)) assert.is(data.buffer, payload.buffer)
})

test('reads a payload that lies unaligned inside a larger buffer', () => {
  const payload = Buffer.from(`ff${GOLDEN}ff`, 'hex').subarray(1, -1)
  const x = decodeTensors(payload)[1]!
  assert.equal([...float32Elements(x)], [1, -2])
})

test('reads the elements of an unaligned Node buffer, not those of its pool', () => {
  const pool = Buffer.from('ff0000803f', 'hex')
  const tensor: Tensor = { name: 'x', dtype: 'float32', dims: [1], data: pool.subarray(1) }
  assert.equal([...float32Elements(tensor)], [1])
})

test('refuses every change of one header byte, or decodes it to something else', () => {
  fc.assert(
    fc.property(anyTensors(), fc.nat(), fc.integer({ min: 1, max: 255 }), (tensors, place, change) => {
      const payload = encodeTensors(tensors)
      const headerBytes = new DataView(payload.buffer).getUint32(8, true)
      const at = place % headerBytes
      const mutant = payload.slice()
      mutant[at] = mutant[at]! ^ change
      verifyRefusedOrDifferent(payload, mutant, `byte ${at} ^ ${change}`)
    }),
    { numRuns: 1000 },
  )
})

test('refuses every single-bit change of the golden payload, or decodes it to something else', () => {
  const payload = Buffer.from(GOLDEN, 'hex')
  for (let bit = 0; bit < payload.length * 8; bit++) {
    const mutant = Buffer.from(payload)
    mutant[bit >> 3] = mutant[bit >> 3]! ^ (1 << (bit & 7))
    verifyRefusedOrDifferent(payload, mutant, `bit ${bit}`)
  }
})

test('refuses every truncation and every extension', () => {
  const payload = Buffer.from(GOLDEN, 'hex')
  for (let length = 0; length < payload.length; length++) {
    refuses(() => decodeTensors(payload.subarray(0, length)), 'malformed-payload', `${length} bytes`)
  }
  refuses(() => decodeTensors(Buffer.concat([payload, Buffer.alloc(8)])), 'malformed-payload')
})

test('never crashes on arbitrary bytes behind a valid beginning', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
      const bytes = Buffer.concat([Buffer.from(GOLDEN.slice(0, 8), 'hex'), tail])
      try {
        decodeTensors(bytes)
      } catch (error) {
        assert.instance(error, TensorError)
      }
    }),
  )
})

test('refuses what has no canonical payload', () => {
  const one = (change: Partial<Tensor>): Tensor => ({ ...TWO[0]!, ...change })
  refuses(() => encodeTensors([one({}), one({})]), 'malformed-payload', 'the same name twice')
  refuses(() => encodeTensors([one({ name: '' })]), 'malformed-payload', 'no name')
  refuses(() => encodeTensors([one({ name: 'n'.repeat(257) })]), 'malformed-payload', 'a long name')
  refuses(() => encodeTensors([one({ name: '\ud800' })]), 'malformed-payload', 'a lone surrogate')
  refuses(() => encodeTensors([one({ dims: [3] })]), 'size-mismatch', 'too few bytes')
  refuses(() => encodeTensors([one({ dims: [-2] })]), 'size-mismatch', 'a negative dimension')
  refuses(() => encodeTensors([one({ dims: Array(17).fill(1) })]), 'malformed-payload', 'rank 17')
  refuses(() => encodeTensors([one({ dims: [2 ** 32, 0], data: new Uint8Array() })]), 'malformed-payload')
})

test('refuses names that are not valid UTF-8', () => {
  const payload = Buffer.from(GOLDEN, 'hex')
  payload[20] = 0xc3
  refuses(() => decodeTensors(payload), 'malformed-payload')
})

test('refuses dimensions whose product is beyond all bounds before anything is allocated', () => {
  const payload = Buffer.from(
    encodeTensors([{ name: 'x', dtype: 'float64', dims: [0, 0, 0], data: new Uint8Array() }]),
  )
  payload.fill(0xff, 20, 32)
  refuses(() => decodeTensorHeaders(payload), 'size-mismatch')
})

test('refuses a payload above the limit', () => {
  const dims = [PAYLOAD_BYTES_MAX]
  const large: Tensor = { name: 'x', dtype: 'uint8', dims, data: new Uint8Array(PAYLOAD_BYTES_MAX) }
  refuses(() => encodeTensors([large]), 'payload-too-large')
  refuses(() => decodeTensors(new Uint8Array(PAYLOAD_BYTES_MAX + 1)), 'payload-too-large')
})

test('counts elements', () => {
  assert.is(elementCount([]), 1)
  assert.is(elementCount([3, 0, 2]), 0)
  refuses(() => elementCount([1.5]), 'size-mismatch')
  refuses(() => elementCount([2 ** 30, 2 ** 30]), 'size-mismatch')
  assert.is(DTYPES.length, Object.keys(ELEMENT_BYTES).length)
})

test('digests the salt and every byte', () => {
  const salt = new Uint8Array(32)
  const payload = Buffer.from(GOLDEN, 'hex')
  const digest = Buffer.from(digestTensors(salt, payload)).toString('hex')
  assert.is(digest, 'e1d5928b52fdb7934c0ed1e8dcaa3dc8bc55baf6709295b0829216b7340d731d')
  const other = Uint8Array.from(salt)
  other[31] = 1
  assert.is.not(Buffer.from(digestTensors(other, payload)).toString('hex'), digest)
  payload[39] = 1
  assert.is.not(Buffer.from(digestTensors(salt, payload)).toString('hex'), digest)
  assert.throws(() => digestTensors(new Uint8Array(31), payload), /32 bytes/)
})

function verifyRefusedOrDifferent(payload: Uint8Array, mutant: Uint8Array, which: string): void {
  let decoded: Tensor[]
  try {
    decoded = decodeTensors(mutant)
  } catch (error) {
    assert.instance(error, TensorError, which)
    return
  }
  assert.not.equal(decoded, decodeTensors(payload), which)
  assert.equal(encodeTensors(decoded), Uint8Array.from(mutant), which)
}

function refuses(act: () => unknown, code: TensorErrorCode, which?: string): void {
  assert.throws(act, (error: unknown) => error instanceof TensorError && error.code === code, which)
}

test('the digest made in the background is the same, wherever the payload lies, and leaves other bytes alone', async () => {
  const salt = new Uint8Array(32).map((_, at) => at)
  const bytes = new Uint8Array(100_000).map((_, at) => at * 7)
  const allocated = allocatePayload(bytes.byteLength)
  allocated.set(bytes)
  assert.is(allocated.byteOffset % 8, 0)
  const larger = new Uint8Array(bytes.byteLength + allocated.byteOffset).fill(9)
  const part = larger.subarray(allocated.byteOffset)
  part.set(bytes)
  const expected = Buffer.from(digestTensors(salt, bytes))
  for (const payload of [bytes, allocated, part, allocated.subarray(0)]) {
    assert.equal(Buffer.from(await digestTensorsInBackground(salt, payload)), expected)
  }
  const rest = allocated.subarray(8)
  assert.equal(
    Buffer.from(await digestTensorsInBackground(salt, rest)),
    Buffer.from(digestTensors(salt, rest)),
  )
  assert.ok(larger.subarray(0, allocated.byteOffset).every((byte) => byte === 9))
  assert.equal(Buffer.from(allocated), Buffer.from(bytes))
})

test('two digests under way of one payload, under two salts, do not mix', async () => {
  const payload = allocatePayload(200_000).fill(5)
  const salts = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  const digests = salts.map((salt) => digestTensorsInBackground(salt, payload))
  payload.fill(6)
  for (const [index, salt] of salts.entries()) {
    const expected = digestTensors(salt, new Uint8Array(200_000).fill(5))
    assert.equal(Buffer.from(await digests[index]!), Buffer.from(expected), `salt ${index}`)
  }
})

test('the pieces of an encoding follow one another without a copy of the data', () => {
  const tensors = [
    { name: 'b', dtype: 'uint8', dims: [3], data: new Uint8Array([1, 2, 3]) },
    { name: 'a', dtype: 'uint8', dims: [8], data: new Uint8Array(8).fill(4) },
  ] as const
  const pieces = encodeTensorPieces(tensors)
  assert.equal(Buffer.concat(pieces), Buffer.from(encodeTensors(tensors)))
  assert.is(pieces[1], tensors[1].data)
})

test.run()

import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ABSENT,
  decodeLeaf,
  encodeLeaf,
  formatPosition,
  hashLeaf,
  LEAF_BYTES_MAX,
  type Leaf,
  type Position,
  parsePosition,
  TraceError,
  type TraceErrorCode,
} from '../../../models/trace/index.ts'

const isCode = (code: TraceErrorCode) => (error: unknown) =>
  error instanceof TraceError && error.code === code
const digest = (byte: number) => new Uint8Array(32).fill(byte)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const LEAF: Leaf = {
  position: '7[4]/3',
  operator: digest(0xaa),
  operands: [digest(1), ABSENT],
  outputs: [digest(2)],
}
const ENCODED = encodeLeaf(LEAF)

test('a leaf has the bytes that its form says', () => {
  const wanted = [
    '06', // positionBytes
    '375b345d2f33', // "7[4]/3"
    'aa'.repeat(32), // operator
    '0200', // operands
    '01'.repeat(32),
    '00'.repeat(32), // left out
    '0100', // outputs
    '02'.repeat(32),
  ]
  assert.is(hex(ENCODED), wanted.join(''))
  assert.is(hex(hashLeaf(ENCODED)), 'fc6966ada89dae290d265d53a5d616f0ac3ec5af64a05e7d9ad02a20fec6bed3')
})

test('leaves survive the way there and back', () => {
  const digests = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 6 })
  const leaves = fc.record({
    position: fc.stringMatching(/^[ -~]{0,120}$/),
    operator: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    operands: digests,
    outputs: digests,
  })
  fc.assert(
    fc.property(leaves, (leaf) => {
      const decoded = decodeLeaf(encodeLeaf(leaf))
      assert.equal(
        {
          ...decoded,
          operator: hex(decoded.operator),
          operands: decoded.operands.map(hex),
          outputs: decoded.outputs.map(hex),
        },
        {
          ...leaf,
          operator: hex(leaf.operator),
          operands: leaf.operands.map(hex),
          outputs: leaf.outputs.map(hex),
        },
      )
    }),
  )
})

test('a leaf cut short anywhere, or with more bytes, is none', () => {
  for (let length = 0; length < ENCODED.byteLength; length++) {
    assert.throws(() => decodeLeaf(ENCODED.slice(0, length)), isCode('malformed'), `${length} bytes`)
  }
  assert.throws(() => decodeLeaf(Buffer.concat([ENCODED, Uint8Array.of(0)])), isCode('malformed'))
})

test('counts that say more than there is are refused before anything is made', () => {
  const greedy = ENCODED.slice()
  greedy.set([0xff, 0xff], 7 + 32)
  assert.throws(() => decodeLeaf(greedy), isCode('malformed'))
  const fewer = ENCODED.slice()
  fewer.set([1, 0], 7 + 32)
  assert.throws(() => decodeLeaf(fewer), isCode('malformed'))
})

test('a position that is not ASCII is refused', () => {
  for (const byte of [0, 0x0a, 0x1f, 0x7f, 0x80, 0xff]) {
    const changed = ENCODED.slice()
    changed[1] = byte
    assert.throws(() => decodeLeaf(changed), isCode('malformed'), `${byte}`)
  }
})

test('a leaf larger than one may be is neither written nor read', () => {
  const many = Array.from({ length: LEAF_BYTES_MAX / 32 }, () => ABSENT)
  assert.throws(() => encodeLeaf({ ...LEAF, operands: many }), isCode('too-large'))
  assert.throws(() => encodeLeaf({ ...LEAF, position: '1'.repeat(121) }), isCode('too-large'))
  assert.throws(() => decodeLeaf(new Uint8Array(LEAF_BYTES_MAX + 1)), isCode('too-large'))
  const most = encodeLeaf({ ...LEAF, operands: many.slice(0, -10) })
  assert.is(decodeLeaf(most).operands.length, many.length - 10)
})

const POSITIONS: [string, Position][] = [
  ['0', { frames: [], step: 0, phase: 'run' }],
  ['12', { frames: [], step: 12, phase: 'run' }],
  ['7?', { frames: [], step: 7, phase: 'decide' }],
  ['7?0', { frames: [], step: 7, phase: 'decide', iteration: 0 }],
  ['7!', { frames: [], step: 7, phase: 'end' }],
  ['7!16384', { frames: [], step: 7, phase: 'end', iteration: 16_384 }],
  [
    '7[then]/0[12]/3[else]/5?2',
    {
      frames: [
        { step: 7, arm: 'then' },
        { step: 0, arm: 12 },
        { step: 3, arm: 'else' },
      ],
      step: 5,
      phase: 'decide',
      iteration: 2,
    },
  ],
  [
    `${'1[0]/'.repeat(8)}1`,
    { frames: Array.from({ length: 8 }, () => ({ step: 1, arm: 0 })), step: 1, phase: 'run' },
  ],
]

test('a position has one text', () => {
  for (const [text, position] of POSITIONS) {
    assert.equal(parsePosition(text), position, text)
    assert.is(formatPosition(position), text)
  }
})

test('any other text is no position', () => {
  const wrong = [
    ...[
      '',
      ' ',
      '00',
      '01',
      '-1',
      '+1',
      '1.0',
      '1e3',
      '0x1',
      '١',
      '1 ',
      ' 1',
      '1\n',
      '99999',
      '65536',
      '123456',
    ],
    ...['?', '!', '7??', '7?!', '7!?', '7?01', '7? 1', '7?-1', '7?65536'],
    ...[
      '/',
      '7/',
      '/7',
      '7/3',
      '7[]/3',
      '7[then]',
      '7[then]3',
      '7[THEN]/3',
      '7[maybe]/3',
      '7[01]/3',
      '7[1]//3',
    ],
    ...['7?[1]/3', '7[1]/3/', '7[1][2]/3', '[1]/3', '7[1/3', '7 [1]/3', '7[99999]/1'],
    ...[
      `${'1[0]/'.repeat(9)}1`,
      `${'65535[65535]/'.repeat(8)}65535!655350`,
      '1'.repeat(121),
      'x'.repeat(1_000_000),
    ],
  ]
  for (const text of wrong) {
    assert.throws(() => parsePosition(text), isCode('malformed'), text.slice(0, 40))
  }
})

test('whatever can be read is written the same again', () => {
  const alphabet = fc.constantFrom(...'0123456789[]/?!', 'then', 'else')
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 12 }), (parts) => {
      const text = parts.join('')
      let position: Position
      try {
        position = parsePosition(text)
      } catch (error) {
        assert.ok(error instanceof TraceError)
        return
      }
      assert.is(formatPosition(position), text)
    }),
    { numRuns: 2000 },
  )
})

test.run()

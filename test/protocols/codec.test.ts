import { BinaryWriter } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CodecError, MessageReader, MessageWriter } from '../../protocols/codec/index.ts'

const isCodecError = (error: unknown) => error instanceof CodecError
const ANY = { max: Number.MAX_SAFE_INTEGER }

function refused(hex: string, read: (reader: MessageReader) => unknown, why: RegExp): void {
  const bytes = Buffer.from(hex, 'hex')
  assert.throws(
    () => {
      const reader = new MessageReader(bytes, 'test')
      read(reader)
      reader.end()
    },
    (error: unknown) => error instanceof CodecError && why.test(error.message),
    hex,
  )
}

test('reads what was written, whatever the values', () => {
  fc.assert(
    fc.property(
      fc.maxSafeNat(),
      fc.boolean(),
      fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
      fc.uint8Array(),
      fc.string({ unit: 'grapheme' }),
      fc.array(fc.uint8Array({ minLength: 1 }), { maxLength: 5 }),
      (uint, bool, double, bytes, text, many) => {
        const encoded = new MessageWriter()
          .uint(1, uint)
          .bool(2, bool)
          .double(3, double)
          .bytes(4, bytes)
          .text(5, text)
          .repeatedBytes(6, many)
          .finish()
        const reader = new MessageReader(encoded, 'test')
        assert.is(reader.uint(1, ANY), uint)
        assert.is(reader.bool(2), bool)
        assert.is(reader.double(3, { max: Number.MAX_VALUE }), double)
        assert.equal(Buffer.from(reader.bytes(4, ANY)), Buffer.from(bytes))
        assert.is(reader.text(5, { max: 10_000 }), text)
        assert.equal(
          reader.repeatedBytes(6, { max: 100, countMax: 5 }).map((b) => [...b]),
          many.map((b) => [...b]),
        )
        reader.end()
      },
    ),
  )
})

test('any bytes that are accepted are the bytes that would be written', () => {
  const rewrite = (bytes: Uint8Array): Uint8Array => {
    const reader = new MessageReader(bytes, 'test')
    const writer = new MessageWriter()
      .uint(1, reader.uint(1, ANY))
      .bytes(2, reader.bytes(2, ANY))
      .double(3, reader.double(3, { max: Number.MAX_VALUE }))
      .text(4, reader.text(4, ANY))
    reader.end()
    return writer.finish()
  }
  const seed = fc.record({ uint: fc.maxSafeNat(), bytes: fc.uint8Array({ maxLength: 4 }), text: fc.string() })
  fc.assert(
    fc.property(seed, fc.nat(), fc.nat(255), fc.boolean(), ({ uint, bytes, text }, at, byte, insert) => {
      const good = [...new MessageWriter().uint(1, uint).bytes(2, bytes).text(4, text).finish()]
      good.splice(at % (good.length + 1), insert ? 0 : 1, byte)
      const bad = Uint8Array.from(good)
      let rewritten: Uint8Array
      try {
        rewritten = rewrite(bad)
      } catch (error) {
        assert.instance(error, CodecError)
        return
      }
      assert.equal(Buffer.from(rewritten), Buffer.from(bad))
    }),
    { numRuns: 2000 },
  )
})

test('refuses every second way to write a message', () => {
  const uint = (reader: MessageReader) => reader.uint(1, ANY)
  refused('0800', uint, /default/)
  refused('088100', uint, /longer than it need be/)
  refused('08ffffffffffffff7f', uint, /above 2\^53/)
  refused('08ffffffffffffffffff01', uint, /above 2\^53/)
  refused('08', uint, /ends inside/)
  refused('08ff', uint, /ends inside/)
  refused('08010802', uint, /unknown, repeated or out of order/)
  refused('1001', uint, /unknown, repeated or out of order/)
  refused('0901', uint, /unknown, repeated or out of order/)
  refused('0802', (reader) => reader.bool(1), /not from 0 to 1/)
  const double = (reader: MessageReader) => reader.double(1, { max: 1 })
  refused('090000000000000000', double, /default/)
  refused('090000000000000080', double, /default/)
  refused('09000000000000f87f', double, /NaN/)
  refused('09000000000000f03c00', double, /unknown/)
  refused('09000000000000f0', double, /ends inside/)
  refused('09000000000000f0bf', double, /not from/)
  const text = (reader: MessageReader) => reader.text(1, { max: 3 })
  refused('0a00', text, /default/)
  refused('0a0261', text, /ends inside/)
  refused('0a02c328', text, /UTF-8/)
  refused('0a0461616161', text, /not from 0 to 3/)
  const many = (reader: MessageReader) => reader.repeatedBytes(1, { max: 1, countMax: 2 })
  refused('0a01610a01610a0161', many, /more than 2 times/)
  refused('0a0261610a0161', many, /at most 1/)
  refused('0a00', many, /default/)
})

test('a byte order mark is text like any other', () => {
  const bytes = new MessageWriter().text(1, '\ufeffa').finish()
  assert.is(new MessageReader(bytes, 'test').text(1, { max: 10 }), '\ufeffa')
})

test('refuses to write what the wire does not hold', () => {
  for (const value of [-1, 0.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => new MessageWriter().uint(1, value), isCodecError, String(value))
  }
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => new MessageWriter().double(1, value), isCodecError, String(value))
  }
  assert.throws(() => new MessageWriter().text(1, '\ud800'), isCodecError)
  assert.throws(() => new MessageWriter().repeatedBytes(1, [new Uint8Array(0)]), isCodecError)
  assert.throws(() => new MessageWriter().repeatedText(1, ['']), isCodecError)
})

test('a large value is encoded as a small one is', () => {
  for (const bytes of [16_383, 16_384, 70_000]) {
    const value = Uint8Array.from({ length: bytes }, (_, index) => index)
    const message = new MessageWriter().uint(1, 7).bytes(2, value).bytes(3, value).text(4, 'end').finish()
    const plain = new BinaryWriter()
    plain.uint32(8).uint32(7).uint32(18).bytes(value).uint32(26).bytes(value).uint32(34).string('end')
    assert.is(Buffer.compare(message, plain.finish()), 0, `${bytes} bytes`)
  }
})

test.run()

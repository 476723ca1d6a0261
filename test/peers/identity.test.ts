import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createEphemeralIdentity,
  IDENTITY_FILE,
  IdentityError,
  type IdentityErrorCode,
  loadOrCreateIdentity,
} from '../../peers/identity/index.ts'

let directory = ''
test.before.each(() => {
  directory = mkdtempSync(join(tmpdir(), 'verimesh-identity-'))
})
test.after.each(() => rmSync(directory, { recursive: true, force: true }))

test('an identity is the same after a restart, and its file is for its owner only', async () => {
  const data = join(directory, 'not', 'yet', 'there')
  const first = await loadOrCreateIdentity(data)
  const second = await loadOrCreateIdentity(data)
  assert.is(second.peerId.toString(), first.peerId.toString())
  assert.equal(second.rawPrivateKey, first.rawPrivateKey)
  assert.is(first.rawPrivateKey.byteLength, 64)
  assert.is(statSync(join(data, IDENTITY_FILE)).mode & 0o777, 0o600)
  assert.equal(readdirSync(data), [IDENTITY_FILE], 'no temporary file stays')
})

test('starts at the same moment in one directory get one identity', async () => {
  const identities = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateIdentity(directory)))
  assert.is(new Set(identities.map(({ peerId }) => peerId.toString())).size, 1)
})

test('a file that others could read is closed to them', async () => {
  await loadOrCreateIdentity(directory)
  chmodSync(join(directory, IDENTITY_FILE), 0o644)
  await loadOrCreateIdentity(directory)
  assert.is(statSync(join(directory, IDENTITY_FILE)).mode & 0o777, 0o600)
})

test('refuses a file in which any byte was changed, and leaves it as it is', async () => {
  await loadOrCreateIdentity(directory)
  const path = join(directory, IDENTITY_FILE)
  const good = readFileSync(path)
  for (let at = 0; at < good.length; at++) {
    const bad = Uint8Array.from(good)
    bad[at]! ^= 0x41
    writeFileSync(path, bad)
    await throwsCode('corrupt-identity', `byte ${at}`)
    assert.equal(Uint8Array.from(readFileSync(path)), bad)
  }
})

test('refuses an empty, a truncated, a huge file and a directory in its place', async () => {
  await loadOrCreateIdentity(directory)
  const path = join(directory, IDENTITY_FILE)
  const good = readFileSync(path)
  for (const bad of [new Uint8Array(), good.subarray(0, 40), new Uint8Array(5000)]) {
    writeFileSync(path, bad)
    await throwsCode('corrupt-identity', `${bad.length} bytes`)
  }
  rmSync(path)
  const nested = join(directory, 'nested')
  await loadOrCreateIdentity(join(nested, IDENTITY_FILE))
  await throwsCode('corrupt-identity', 'directory', nested)
})

test('a data directory that is a file is told as unreadable', async () => {
  writeFileSync(join(directory, 'file'), '')
  await throwsCode('unreadable', 'file', join(directory, 'file'))
})

test('an ephemeral identity is a new one each time and touches no disk', async () => {
  const [first, second] = await Promise.all([createEphemeralIdentity(), createEphemeralIdentity()])
  assert.is.not(first.peerId.toString(), second.peerId.toString())
  assert.equal(readdirSync(directory), [])
})

async function throwsCode(code: IdentityErrorCode, which: string, data = directory): Promise<void> {
  try {
    await loadOrCreateIdentity(data)
  } catch (error) {
    assert.instance(error, IdentityError, which)
    assert.is((error as IdentityError).code, code, which)
    return
  }
  assert.unreachable(which)
}

test.run()

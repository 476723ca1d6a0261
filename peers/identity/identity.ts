import { chmod, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { createFile } from '../files/index.ts'
import { IDENTITY_FILE, IDENTITY_FILE_BYTES_MAX, IDENTITY_FILE_MODE } from './constants.ts'
import { IdentityError } from './errors.ts'

/** A node's key. Whoever has it is the node: it never leaves the process nor the file. */
export interface Identity {
  readonly privateKey: Ed25519PrivateKey
  readonly peerId: PeerId
  /** 64 bytes: the seed, then the public key. */
  readonly rawPrivateKey: Uint8Array
}

/**
 * The identity that lies in `dataDirectory`, made there if there is none. The file is readable by its owner only;
 * one that others could read is closed to them. Two processes that start at once get the same identity.
 * Throws IdentityError; a file that is there is never overwritten.
 */
export async function loadOrCreateIdentity(dataDirectory: string): Promise<Identity> {
  const path = join(dataDirectory, IDENTITY_FILE)
  const existing = await readIdentity(path)
  if (existing !== undefined) return existing
  const identity = await createEphemeralIdentity()
  try {
    await createFile(path, privateKeyToProtobuf(identity.privateKey), IDENTITY_FILE_MODE)
    return identity
  } catch (error) {
    if (codeOf(error) === 'EEXIST') {
      const winner = await readIdentity(path)
      if (winner !== undefined) return winner
    }
    throw asIdentityError(error, path, 'write')
  }
}

/** An identity that lives as long as the process: for clients that ask once and leave. */
export async function createEphemeralIdentity(): Promise<Identity> {
  return identityOf(await generateKeyPair('Ed25519'))
}

async function readIdentity(path: string): Promise<Identity | undefined> {
  let bytes: Uint8Array
  try {
    const info = await stat(path)
    if (!info.isFile() || info.size > IDENTITY_FILE_BYTES_MAX) {
      throw corrupt(path, `it is ${info.isFile() ? `${info.size} bytes long` : 'not a file'}`)
    }
    if ((info.mode & 0o077) !== 0) await chmod(path, IDENTITY_FILE_MODE)
    bytes = await readFile(path)
  } catch (error) {
    if (error instanceof IdentityError) throw error
    if (codeOf(error) === 'ENOENT') return undefined
    throw asIdentityError(error, path, 'read')
  }
  return parseIdentity(bytes, path)
}

async function parseIdentity(bytes: Uint8Array, path: string): Promise<Identity> {
  try {
    const key = privateKeyFromProtobuf(bytes)
    if (key.type !== 'Ed25519') throw new Error(`the key is ${key.type}, not Ed25519`)
    // A damaged seed still parses: only a signature shows whether both halves of the key belong together.
    const probe = new TextEncoder().encode('verimesh identity probe')
    if (!(await key.publicKey.verify(probe, await key.sign(probe)))) {
      throw new Error('its private and public halves do not belong together')
    }
    return identityOf(key)
  } catch (error) {
    throw corrupt(path, error instanceof Error ? error.message : String(error), error)
  }
}

function identityOf(privateKey: Ed25519PrivateKey): Identity {
  return { privateKey, peerId: peerIdFromPrivateKey(privateKey), rawPrivateKey: privateKey.raw }
}

function corrupt(path: string, why: string, cause?: unknown): IdentityError {
  return new IdentityError(
    'corrupt-identity',
    path,
    `The identity file ${path} is damaged: ${why}. Put a backup in its place, or move it away to start with a new ` +
      'peer id (what others know of the old one is then lost).',
    { cause },
  )
}

function asIdentityError(error: unknown, path: string, doing: 'read' | 'write'): IdentityError {
  const code = codeOf(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new IdentityError(
      'disk-full',
      path,
      `The disk is full, so the identity file ${path} could not be written. Free some space or choose another data directory.`,
      { cause: error },
    )
  }
  return new IdentityError(
    doing === 'read' ? 'unreadable' : 'unwritable',
    path,
    `Could not ${doing} the identity file ${path} (${code ?? String(error)}). Choose another data directory (--data), or check who owns this one and its permissions.`,
    { cause: error },
  )
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

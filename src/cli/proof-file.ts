import { readFile, stat } from 'node:fs/promises'
import type { ProofStore } from '../../peers/fraud/index.ts'
import { PROOF_BYTES_MAX } from '../../protocols/fraud/index.ts'
import { proofsDirectory } from '../node/index.ts'
import { CommandError } from './failure.ts'
import type { Terminal } from './terminal.ts'

/** The bytes of a proof: a file, or what is held against a key. Rejects with CommandError `unreadable-input`. */
export async function readProof(text: string, data: string, terminal: Terminal): Promise<Uint8Array> {
  const found = await stat(text).catch(() => undefined)
  if (found === undefined) {
    const store = await openProofs(data, terminal)
    const held = await store.get(text)
    if (held !== undefined) return held
    throw new CommandError('unreadable-input', `${text} is no file, and no key that a proof is held against`)
  }
  if (found.size > PROOF_BYTES_MAX) {
    throw new CommandError(
      'unreadable-input',
      `a proof has ${PROOF_BYTES_MAX} bytes at most; ${text} has ${found.size}`,
    )
  }
  return readFile(text).catch((cause: unknown) => {
    throw new CommandError('unreadable-input', `cannot read ${text}`, { cause })
  })
}

/** The proofs of a data directory. */
export async function openProofs(data: string, terminal: Terminal): Promise<ProofStore> {
  // With them comes what passes them on, and the network that it needs: who has a file can do without.
  const [{ systemClock }, { createProofStore }] = await Promise.all([
    import('../../peers/clock/index.ts'),
    import('../../peers/fraud/index.ts'),
  ])
  const warn = (message: string): void => terminal.note(`warning: ${message}`)
  const log = { debug: () => {}, info: () => {}, warn, error: warn }
  return createProofStore(proofsDirectory(data), { clock: systemClock, log })
}

/**
 * The proofs that this node holds, in a directory of its own: `<accused>.proof` is the proof's bytes as they travel,
 * and `exposed.jsonl` has a line for each exposed key. A key is exposed by its line: a file without one was not
 * verified here, and is ignored. So whatever breaks, a key that nobody proved anything of is never exposed.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock/index.ts'
import { replaceFile } from '../files/index.ts'
import type { Log } from '../host/index.ts'
import {
  EXPOSURES_FILE,
  EXPOSURES_FILE_BYTES_MAX,
  EXPOSURES_MAX,
  HELD_BYTES_MAX,
  HELD_PROOFS_MAX,
  PROOF_SUFFIX,
  UNFINISHED_MS,
} from './constants.ts'
import { type StoreLimits, selectDropped, selectForgotten } from './eviction.ts'
import {
  decodeExposures,
  type Exposure,
  encodeExposures,
  type ProofOrigin,
  type ProofSummary,
} from './exposure.ts'

export interface ProofStoreOptions {
  readonly clock: Clock
  readonly log: Log
  readonly limits?: Partial<StoreLimits>
}

/** One proof a key: the first that was verified. */
export interface ProofStore {
  has(accused: string): boolean
  find(accused: string): Exposure | undefined
  /** The exposure that the proof with this id, whose bytes are held, belongs to. */
  findHeld(id: string): Exposure | undefined
  isHeld(accused: string): boolean
  /** In the order in which they were found. */
  list(): readonly Exposure[]
  /** The proof's bytes; undefined when there are none, or none that are whole. */
  get(accused: string): Promise<Uint8Array | undefined>
  /**
   * Keeps a proof that was verified. Resolves with the exposure when the key was not exposed before, else with
   * undefined. A disk that fails is warned of and costs only what a restart then forgets.
   */
  add(proof: ProofSummary, bytes: Uint8Array, origin: ProofOrigin): Promise<Exposure | undefined>
}

/** Opens the store in `directory`, which need not exist. What is damaged there is warned of by its name and ignored. */
export async function createProofStore(directory: string, options: ProofStoreOptions): Promise<ProofStore> {
  const store = new DirectoryStore(directory, options)
  await store.load()
  return store
}

class DirectoryStore implements ProofStore {
  readonly #directory: string
  readonly #options: ProofStoreOptions
  readonly #limits: StoreLimits
  /** By accused, in the order of finding. */
  readonly #exposures = new Map<string, Exposure>()
  /** Accused whose proof is on disk, by the proof's id. */
  readonly #held = new Map<string, string>()
  /** Changes come one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(directory: string, options: ProofStoreOptions) {
    this.#directory = directory
    this.#options = options
    this.#limits = {
      heldProofs: HELD_PROOFS_MAX,
      heldBytes: HELD_BYTES_MAX,
      exposures: EXPOSURES_MAX,
      ...options.limits,
    }
  }

  has(accused: string): boolean {
    return this.#exposures.has(accused)
  }

  find(accused: string): Exposure | undefined {
    return this.#exposures.get(accused)
  }

  findHeld(id: string): Exposure | undefined {
    const accused = this.#held.get(id)
    return accused === undefined ? undefined : this.#exposures.get(accused)
  }

  isHeld(accused: string): boolean {
    const exposure = this.#exposures.get(accused)
    return exposure !== undefined && this.#held.has(exposure.id)
  }

  list(): readonly Exposure[] {
    return [...this.#exposures.values()]
  }

  async get(accused: string): Promise<Uint8Array | undefined> {
    const exposure = this.#exposures.get(accused)
    if (exposure === undefined || !this.#held.has(exposure.id)) return undefined
    const path = this.#pathOf(accused)
    try {
      const { size } = await stat(path)
      if (size !== exposure.bytes) throw new Error(`it has ${size} bytes instead of ${exposure.bytes}`)
      const bytes = await readFile(path)
      if (sha256(bytes) !== exposure.id) throw new Error('its bytes have changed')
      return bytes
    } catch (error) {
      this.#held.delete(exposure.id)
      // It made room for another one meanwhile, here or in another process.
      if (!isMissing(error)) this.#warn(path, error)
      return undefined
    }
  }

  add(proof: ProofSummary, bytes: Uint8Array, origin: ProofOrigin): Promise<Exposure | undefined> {
    const added = this.#turn.then(() => this.#add(proof, bytes, origin))
    this.#turn = added.catch(() => undefined)
    return added
  }

  async #add(proof: ProofSummary, bytes: Uint8Array, origin: ProofOrigin): Promise<Exposure | undefined> {
    const { accused, kind, model, jobId, publishable } = proof
    await this.#refresh()
    if (this.#exposures.has(accused)) return undefined
    const exposure: Exposure = {
      ...{ accused, kind, model, jobId, publishable, origin },
      id: sha256(bytes),
      bytes: bytes.byteLength,
      foundAtMs: Math.floor(this.#options.clock.now()),
    }
    this.#exposures.set(accused, exposure)
    // The line comes before the file: one without the other must be an exposed key, not a proof of unknown origin.
    const hasRoom = await this.#makeRoom(exposure)
    if (hasRoom && (await this.#write(exposure, bytes))) this.#held.set(exposure.id, accused)
    return exposure
  }

  /** Drops what `added` takes the place of, and writes the lines. Resolves with whether the proof itself has a place. */
  async #makeRoom(added: Exposure): Promise<boolean> {
    for (const exposure of selectForgotten(this.list(), this.#limits)) {
      this.#exposures.delete(exposure.accused)
      await this.#drop(exposure)
    }
    const held = this.list().filter((exposure) => exposure === added || this.#held.has(exposure.id))
    const dropped = selectDropped(held, this.#limits)
    for (const exposure of dropped) await this.#drop(exposure)
    const path = join(this.#directory, EXPOSURES_FILE)
    try {
      await replaceFile(path, encodeExposures(this.list()), 0o600)
    } catch (error) {
      this.#options.log.warn(
        `Could not write ${path}: ${String(error)}. A restart will forget ${added.accused}.`,
      )
    }
    return held.includes(added) && !dropped.includes(added)
  }

  async #write({ accused }: Exposure, bytes: Uint8Array): Promise<boolean> {
    const path = this.#pathOf(accused)
    try {
      await replaceFile(path, bytes, 0o600)
      return true
    } catch (error) {
      this.#options.log.warn(`Could not keep a proof as ${path}: ${String(error)}. The key stays exposed.`)
      return false
    }
  }

  async #drop({ accused, id }: Exposure): Promise<void> {
    if (this.#held.delete(id)) await this.#remove(this.#pathOf(accused))
  }

  async #remove(path: string): Promise<void> {
    try {
      await rm(path, { force: true })
    } catch (error) {
      this.#options.log.warn(`Could not remove ${path}: ${String(error)}.`)
    }
  }

  async load(): Promise<void> {
    await this.#refresh()
    for (const name of await this.#names()) {
      const path = join(this.#directory, name)
      if (name.endsWith('.tmp')) await this.#removeOld(path)
      else if (name.endsWith(PROOF_SUFFIX) && !this.#exposures.has(name.slice(0, -PROOF_SUFFIX.length)))
        this.#warn(path, new Error('this node has not verified it; "verimesh fraud verify" does'))
    }
  }

  /** Takes up what the file says and memory does not: at the start all of it, later what another process added. */
  async #refresh(): Promise<void> {
    const path = join(this.#directory, EXPOSURES_FILE)
    try {
      const { size } = await stat(path)
      if (size > EXPOSURES_FILE_BYTES_MAX) throw new Error(`it is ${size} bytes long`)
      const { exposures, damaged } = decodeExposures(await readFile(path))
      if (damaged > 0) this.#options.log.warn(`${damaged} lines of ${path} can't be read; they are ignored.`)
      for (const exposure of exposures) {
        if (this.#exposures.has(exposure.accused)) continue
        this.#exposures.set(exposure.accused, exposure)
        await this.#loadProof(exposure)
      }
    } catch (error) {
      if (!isMissing(error)) this.#warn(path, error)
    }
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.#directory)).sort()
    } catch (error) {
      if (!isMissing(error)) this.#warn(this.#directory, error)
      return []
    }
  }

  async #loadProof({ accused, id, bytes }: Exposure): Promise<void> {
    const path = this.#pathOf(accused)
    try {
      const { size } = await stat(path)
      if (size !== bytes) throw new Error(`it has ${size} bytes instead of ${bytes}`)
      if ((await sha256OfFile(path)) !== id) throw new Error('its bytes have changed')
      this.#held.set(id, accused)
    } catch (error) {
      // It made room for others once.
      if (!isMissing(error)) this.#warn(path, error)
    }
  }

  /** What a write left behind that was cut short, unless it is one that goes on in another process. */
  async #removeOld(path: string): Promise<void> {
    try {
      const { mtimeMs } = await stat(path)
      if (this.#options.clock.now() - mtimeMs > UNFINISHED_MS) await this.#remove(path)
    } catch (error) {
      if (!isMissing(error)) this.#warn(path, error)
    }
  }

  #warn(path: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    this.#options.log.warn(`${path} can't be used and is ignored: ${why}.`)
  }

  #pathOf(accused: string): string {
    return join(this.#directory, `${accused}${PROOF_SUFFIX}`)
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** In pieces, so that a start does not stand still for tens of megabytes. */
async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece)
  return hash.digest('hex')
}

import { verifyDirectoryBlocks } from '../../models/address/index.ts'
import { decodeManifest, MANIFEST_FILE } from '../../models/manifest/index.ts'
import type { ModelStore } from '../../models/store/index.ts'
import type { ProviderCandidate } from '../../peers/book/index.ts'
import { DESCRIBE_TIMEOUT_MS, DESCRIBE_TRIES_MAX, DESCRIPTIONS_MAX } from './constants.ts'
import type { Finder } from './finding.ts'
import type { Log } from './log.ts'
import { type DescribedModel, JobError } from './node.ts'

export interface DescriberComponents {
  readonly store: ModelStore
  readonly finder: Finder
  /** Asks one provider for the blocks of manifest and task files. */
  readonly fetchBlocks: (provider: string, cid: string, signal: AbortSignal) => Promise<readonly Uint8Array[]>
  readonly log: Log
}

export type Describer = (cid: string, signal?: AbortSignal) => Promise<DescribedModel>

/** Manifests and task files by address, from the own store or from whoever provides the model, verified either way. */
export function createDescriber(components: DescriberComponents): Describer {
  /** The latest last. They never change: the address is their digest. */
  const known = new Map<string, DescribedModel>()
  return async (cid, signal = new AbortController().signal) => {
    const remembered = known.get(cid)
    if (remembered !== undefined) return remembered
    const described =
      (await fromStore(components.store, cid)) ?? (await fromProviders(components, cid, signal))
    known.set(cid, described)
    const [oldest] = known.keys()
    if (known.size > DESCRIPTIONS_MAX && oldest !== undefined) known.delete(oldest)
    return described
  }
}

async function fromStore(store: ModelStore, cid: string): Promise<DescribedModel | undefined> {
  const stored = store.get(cid)
  if (stored === undefined) return undefined
  return described(cid, await store.taskBlocks(stored))
}

async function fromProviders(
  { finder, fetchBlocks, log }: DescriberComponents,
  cid: string,
  signal: AbortSignal,
): Promise<DescribedModel> {
  const tried = new Set<string>()
  const failures: string[] = []
  const ask = async (candidates: readonly ProviderCandidate[]): Promise<DescribedModel | undefined> => {
    for (const { provider } of candidates) {
      if (tried.has(provider) || tried.size >= DESCRIBE_TRIES_MAX) continue
      signal.throwIfAborted()
      tried.add(provider)
      try {
        const bounded = AbortSignal.any([signal, AbortSignal.timeout(DESCRIBE_TIMEOUT_MS)])
        return described(cid, await fetchBlocks(provider, cid, bounded))
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        failures.push(`${provider}: ${message}`)
        log.debug('a provider could not describe a model', { model: cid, provider, error: message })
      }
    }
    return undefined
  }
  const candidates = await finder.find({ model: cid, atLeast: 1, signal }, () => {})
  const found = await ask(candidates)
  if (found !== undefined) return found
  signal.throwIfAborted()
  throw new JobError({
    code: 'not-enough-providers',
    message:
      failures.length === 0
        ? `nobody provides ${cid}: found 0 providers, needed 1. Is the address right, and is this node connected to the mesh that hosts it? Begin with a node of it: --bootstrap MULTIADDR`
        : `none of ${failures.length} provider(s) could describe ${cid}: ${failures.join('; ')}`,
    found: 0,
    needed: 1,
    attempts: [],
  })
}

/** Throws where the blocks are not those of `cid`, or the manifest does not list its task files. */
function described(cid: string, blocks: readonly Uint8Array[]): DescribedModel {
  const manifestBytes = verifyDirectoryBlocks(cid, blocks, [MANIFEST_FILE]).get(MANIFEST_FILE)!
  const manifest = decodeManifest(manifestBytes)
  const files = verifyDirectoryBlocks(cid, blocks, manifest.task?.files ?? [])
  return { cid, manifest, files }
}

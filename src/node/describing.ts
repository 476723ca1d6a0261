import { verifyDirectoryBlocks } from '../../models/address/index.ts'
import { decodeManifest, MANIFEST_FILE } from '../../models/manifest/index.ts'
import type { ModelStore } from '../../models/store/index.ts'
import { drawSome, type Random } from '../routing/index.ts'
import { DESCRIBE_PARALLEL, DESCRIBE_TIMEOUT_MS, DESCRIBE_TRIES_MAX, DESCRIPTIONS_MAX } from './constants.ts'
import type { Finder, Search } from './finding.ts'
import type { Log } from './log.ts'
import { type DescribedModel, JobError } from './node.ts'

export interface DescriberComponents {
  readonly store: ModelStore
  readonly finder: Finder
  /** Asks one provider for the blocks of manifest and task files. */
  readonly fetchBlocks: (provider: string, cid: string, signal: AbortSignal) => Promise<readonly Uint8Array[]>
  readonly random: Random
  readonly log: Log
}

/** `find`: who is asked, in place of whom the finder knows. */
export type Describer = (
  cid: string,
  signal?: AbortSignal,
  find?: (search: Search) => Promise<readonly { readonly provider: string }[]>,
) => Promise<DescribedModel>

/**
 * Manifests and task files by address, from the own store or from whoever provides the model, verified either way.
 * Providers are drawn, and some asked at once: the first ones of a list may have chosen their keys to be first.
 */
export function createDescriber(components: DescriberComponents): Describer {
  /** The latest last. They never change: the address is their digest. */
  const known = new Map<string, DescribedModel>()
  const findKnown = (search: Search) => components.finder.find(search, () => {})
  return async (cid, signal = new AbortController().signal, find = findKnown) => {
    const remembered = known.get(cid)
    if (remembered !== undefined) return remembered
    const described =
      (await fromStore(components.store, cid)) ?? (await fromProviders({ ...components, find }, cid, signal))
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
  {
    find,
    fetchBlocks,
    random,
    log,
  }: DescriberComponents & { readonly find: NonNullable<Parameters<Describer>[2]> },
  cid: string,
  signal: AbortSignal,
): Promise<DescribedModel> {
  const failures: string[] = []
  const ask = async (provider: string, asking: AbortSignal): Promise<DescribedModel> => {
    try {
      return described(cid, await fetchBlocks(provider, cid, asking))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      failures.push(`${provider}: ${message}`)
      log.debug('a provider could not describe a model', { model: cid, provider, error: message })
      throw error
    }
  }
  const candidates = drawSome(await find({ model: cid, atLeast: 1, signal }), DESCRIBE_TRIES_MAX, random)
  for (let at = 0; at < candidates.length; at += DESCRIBE_PARALLEL) {
    signal.throwIfAborted()
    const done = new AbortController()
    const asking = AbortSignal.any([signal, done.signal, AbortSignal.timeout(DESCRIBE_TIMEOUT_MS)])
    const asked = candidates.slice(at, at + DESCRIBE_PARALLEL).map(({ provider }) => ask(provider, asking))
    // All of them failing is told below, by what each said.
    const found = await Promise.any(asked).catch(() => undefined)
    done.abort(new Error('another provider was faster'))
    if (found !== undefined) return found
  }
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

import { createHash } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createMemoryModelStore } from '../../models/store/index.ts'
import type { ProviderCandidate } from '../../peers/book/index.ts'
import { DESCRIBE_PARALLEL, DESCRIBE_TRIES_MAX } from '../../src/node/constants.ts'
import { createDescriber } from '../../src/node/describing.ts'
import { JobError, silentLog } from '../../src/node/index.ts'
import { createRandom } from '../../src/routing/index.ts'

const CROWD = 40

const full = createMemoryModelStore()
let cid: string
let blocks: readonly Uint8Array[]

test.before(async () => {
  const file = new Uint8Array([1])
  const sha256 = createHash('sha256').update(file).digest('hex')
  const model = await full.addFiles(
    {
      verimesh: 1,
      name: 'model',
      model: 'model.onnx',
      files: [{ path: 'model.onnx', bytes: 1, sha256 }],
      signature: { inputs: [], outputs: [{ name: 'y', dtype: 'float32', dims: [1] }] },
      lanes: ['native'],
      tolerance: { tau: 0 },
      batching: { independent: false },
    },
    new Map([['model.onnx', file]]),
  )
  cid = model.cid
  blocks = await full.taskBlocks(model)
})

function describer(
  seed: number,
  count: number,
  fetchBlocks: (index: number, signal: AbortSignal) => Promise<readonly Uint8Array[]>,
) {
  const candidates = Array.from({ length: count }, (_, index): ProviderCandidate => {
    const unknown = { load: undefined, rttMs: undefined, serviceMs: undefined }
    return { provider: String(index), group: String(index), ...unknown, outstanding: 0, notBeforeMs: 0 }
  })
  return createDescriber({
    store: createMemoryModelStore(),
    finder: { find: async () => candidates, seek() {}, stop() {} },
    fetchBlocks: (provider, _cid, signal) => fetchBlocks(Number(provider), signal),
    random: createRandom(seed),
    log: silentLog,
  })
}

test('liars that stand first in the list do not keep a model from being described', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const describe = describer(seed, CROWD, async (index) => {
      if (index < CROWD / 2) throw new Error('no such model')
      return blocks
    })
    assert.is((await describe(cid)).manifest.name, 'model', `seed ${seed}`)
  }
})

test('a provider that never answers holds nobody up', async () => {
  const silent = Promise.withResolvers<readonly Uint8Array[]>()
  let told: unknown
  const describe = describer(1, 2, async (index, signal) => {
    if (index > 0) return blocks
    signal.addEventListener('abort', () => {
      told = signal.reason
      silent.reject(signal.reason)
    })
    return silent.promise
  })
  assert.is((await describe(cid)).manifest.name, 'model')
  assert.match(String(told), /another provider was faster/)
})

test('where nobody can describe a model, each that was asked is named, and no more are asked than may be', async () => {
  let asked = 0
  let open = 0
  const describe = describer(1, CROWD, async () => {
    asked++
    open++
    assert.ok(open <= DESCRIBE_PARALLEL)
    await Promise.resolve()
    open--
    throw new Error('no such model')
  })
  try {
    await describe(cid)
    assert.unreachable()
  } catch (error) {
    assert.instance(error, JobError)
    assert.match((error as JobError).message, `none of ${DESCRIBE_TRIES_MAX} provider(s)`)
  }
  assert.is(asked, DESCRIBE_TRIES_MAX)
})

test.run()

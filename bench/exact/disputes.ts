/**
 * Disputes end to end: a job on text recognition that an honest provider and a liar answer, from when it is sent until its
 * answer is refereed, over loopback, each provider a process. The requester is new each time and holds the model; its
 * referee's process starts within the time. The first job is sent as soon as both providers answer, while they still start
 * their exact lanes; with `--wait SECONDS` it is sent so much later. Compiled code is kept between runs, as the installed
 * command does.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { enableCompileCache, getCompileCacheDir } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openModelStore } from '../../models/store/index.ts'
import { float32Tensor } from '../../models/tensor/index.ts'
import { importDemoModels } from '../../src/demo/models.ts'
import { type ProviderProcess, startProvider } from '../../src/demo/processes.ts'
import { checkExactLanes, createNode, prepareHeap, silentLog } from '../../src/node/index.ts'

prepareHeap()
enableCompileCache()
// For the providers, which are programs of their own.
process.env.NODE_COMPILE_CACHE ??= dirname(getCompileCacheDir() ?? '')
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '6' },
    width: { type: 'string', default: '320' },
    wait: { type: 'string', default: '0' },
  },
})
const width = Number(values.width)
const directory = await mkdtemp(join(tmpdir(), 'verimesh-disputes-'))
const storeDirectory = join(directory, 'store')
const store = await openModelStore(storeDirectory)
const [, recognition] = await importDemoModels(store)
await checkExactLanes({ store, dataDirectory: storeDirectory, log: silentLog }, [recognition])

const providers: ProviderProcess[] = []
try {
  for (const index of [0, 1]) {
    providers.push(
      await startProvider({
        dataDirectory: join(directory, `provider-${index}`),
        storeDirectory,
        bootstrap: providers.flatMap(({ multiaddrs }) => multiaddrs),
        lie: index === 0 ? undefined : { role: 'liar', seed: 1, forgery: 0 },
        signal: AbortSignal.timeout(60_000),
      }),
    )
  }
  await pass(Number(values.wait) * 1000)
  console.log('round  answered ms  referee ms  moved kB  step  label')
  for (let round = 0; round < Number(values.rounds); round++) console.log(await dispute(round))
} finally {
  await Promise.all(providers.map((provider) => provider.stop()))
  await rm(directory, { recursive: true, force: true })
}

async function dispute(round: number): Promise<string> {
  const node = await createNode({
    dataDirectory: join(directory, `requester-${round}`),
    storeDirectory,
    ephemeral: true,
    listen: [],
    bootstrap: providers.flatMap(({ multiaddrs }) => multiaddrs),
    mdns: false,
    log: silentLog,
  })
  try {
    node.seek(recognition.cid)
    while (node.peers().filter(({ models }) => models.length > 0).length < providers.length) {
      await pass(20)
    }
    const elements = Float32Array.from({ length: 3 * 48 * width }, (_, at) => Math.sin(at * (round + 1)))
    const startedAtMs = performance.now()
    const result = await node.submit({
      model: recognition.cid,
      inputs: [float32Tensor('x', [1, 3, 48, width], elements)],
    })
    const answeredMs = performance.now() - startedAtMs
    const { disputes, verdict } = await result.closed
    const [found] = disputes
    return [
      String(round).padStart(5),
      answeredMs.toFixed(0).padStart(11),
      (found?.refereeMs ?? 0).toFixed(1).padStart(10),
      ((found?.bytes ?? 0) / 1e3).toFixed(0).padStart(8),
      `${found?.step ?? 0}/${found?.steps ?? 0}`.padStart(4),
      verdict.label,
    ].join('  ')
  } finally {
    await node.stop({ drainMs: 0 })
  }
}

/** Answers that rest on a key exposed later, over real connections and across processes. */

import { existsSync, readFileSync } from 'node:fs'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { forgeLastStep } from '../../src/adversary/index.ts'
import { proofsDirectory, RECHECK_SUFFIX, type Recheck, silentLog } from '../../src/node/index.ts'
import { RECEIPTS_FILE } from '../../src/node/receipt-database.ts'
import { ask, createScene, partsOf, startMesh, type TestMesh } from '../fixtures/dispute-mesh.ts'
import { startNode, stopNodes } from '../fixtures/nodes.ts'
import { killPrograms, startProgram } from '../fixtures/processes.ts'
import { until } from '../fixtures/until.ts'

test.after(async () => {
  await killPrograms()
  await stopNodes()
})

/** Two that lie alike have answered a node on `data`, which has stopped; then another node found proofs against them. */
async function deceived(): Promise<{ mesh: TestMesh; data: string; bundle: string; jobId: string }> {
  const scene = await createScene()
  // A person's own data directory: models, receipts and proofs in one place.
  const data = scene.storeDirectory
  const mesh = await startMesh(scene, [forgeLastStep, forgeLastStep], {
    alike: true,
    requester: { dataDirectory: data },
  })
  const believed = await ask(mesh, { bundleDirectory: join(data, 'receipts') })
  const { verdict, bundle } = await believed.closed
  assert.is(verdict.label, 'replicated')
  await mesh.requester.stop({ drainMs: 0 })

  const other = await startNode({
    storeDirectory: data,
    listen: [],
    bootstrap: mesh.providers,
    parts: { ...partsOf(undefined, 0), observeMs: 200, requesterLimits: { patienceMs: 300 } },
    dataDirectory: join(data, 'other'),
  })
  const checked = await ask({ ...mesh, requester: other }, { recomputeRate: 1 })
  assert.is((await checked.closed).disputes.length, 2)
  await other.stop({ drainMs: 0 })
  // As its proofs reach the person: while no node runs there.
  await cp(proofsDirectory(join(data, 'other')), proofsDirectory(data), { recursive: true })
  return { mesh, data, bundle: bundle!, jobId: believed.jobId }
}

test('a node that starts checks what rests on keys exposed while it was away; a damaged index keeps none from starting', async () => {
  const { data, bundle, jobId } = await deceived()
  const rechecks: Recheck[] = []
  const node = await startNode({
    dataDirectory: data,
    listen: [],
    parts: partsOf(undefined, 0),
    onRecheck: (recheck) => rechecks.push(recheck),
  })
  await until('it is checked again', () => rechecks.length > 0)
  assert.equal(
    rechecks.map((recheck) => [recheck.jobId, recheck.outcome, recheck.bundle]),
    [[jobId, 'wrong', bundle]],
  )
  assert.is(JSON.parse(readFileSync(`${bundle}${RECHECK_SUFFIX}`, 'utf8')).outcome, 'wrong')
  await node.stop({ drainMs: 0 })

  await writeFile(join(data, RECEIPTS_FILE), 'x'.repeat(10_000))
  const errors: string[] = []
  const again = await startNode({
    dataDirectory: data,
    listen: [],
    log: { ...silentLog, error: (event) => errors.push(event) },
  })
  assert.match(errors.join(), /index of receipts was damaged/)
  assert.is((await again.idle()).rechecks, 0)
})

test('a command goes on for a moment after its own answer, and tells of earlier ones', async () => {
  const { mesh, data, bundle } = await deceived()
  const honest = await startNode({
    storeDirectory: data,
    bootstrap: mesh.providers,
    parts: partsOf(undefined, 0),
  })
  await honest.provide(mesh.cid)
  const [address] = honest.multiaddrs()
  const run = await startProgram('src/cli/main.ts', [
    ...['infer', mesh.cid, '--input', 'x=[[0.5, -1, 2, 0.25]]', '--replicas', '1', '--timeout', '120'],
    ...['--bootstrap', address!, '--no-mdns', '--data', data],
  ]).ended
  assert.is(run.code, 0, run.stderr)
  assert.match(
    run.stderr,
    /signed by one provider[\s\S]*an earlier answer rested on [\s\S]*Checked again: wrong/,
  )
  assert.ok(existsSync(`${bundle}${RECHECK_SUFFIX}`))
})

test.run()

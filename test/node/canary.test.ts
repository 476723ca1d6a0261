/** Canaries over real connections: what they bring to light may be told to everybody. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { float32Elements } from '../../models/tensor/index.ts'
import { forgeLastStep, forgeMiddleStep } from '../../src/adversary/index.ts'
import type { CanaryReport, VerimeshNode } from '../../src/node/index.ts'
import {
  ask,
  createScene,
  partsOf,
  type Scene,
  startMesh,
  type TestMesh,
  X,
} from '../fixtures/dispute-mesh.ts'
import { startNode, stopNodes, untilKnown } from '../fixtures/nodes.ts'
import { killPrograms, startProgram } from '../fixtures/processes.ts'
import { until } from '../fixtures/until.ts'

let scene: Scene
test.before(async () => {
  scene = await createScene()
})
test.after(async () => {
  await killPrograms()
  await stopNodes()
})

/** The jobs about which a node holds proofs, by the key that they expose. */
function proven(mesh: TestMesh, node: VerimeshNode): ReadonlyMap<string, string> {
  const text = readFileSync(join(mesh.directoryOf(node), 'proofs', 'exposed.jsonl'), 'utf8')
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { accused: string; jobId: string })
  return new Map(lines.map(({ accused, jobId }) => [accused, jobId]))
}

async function startAsker(mesh: TestMesh): Promise<VerimeshNode> {
  const asker = await startNode({
    storeDirectory: scene.storeDirectory,
    listen: [],
    bootstrap: mesh.providers.slice(0, 1),
    parts: { ...partsOf(undefined, 0), observeMs: 200, requesterLimits: { patienceMs: 300 } },
  })
  asker.seek(mesh.cid)
  await untilKnown(
    asker,
    mesh.cid,
    mesh.providers.map(({ peerId }) => peerId),
  )
  return asker
}

test('a canary exposes a liar to all whom it concerns, where the proof of a private job stays with who asked', async () => {
  const mesh = await startMesh(scene, [undefined, undefined, forgeMiddleStep])
  const [honest, , liar] = mesh.providers
  const personal = await ask(mesh, { replicas: 3 })
  const [mine] = (await personal.closed).disputes
  assert.is(mine?.loser, liar!.peerId)
  assert.is(proven(mesh, mesh.requester).get(liar!.peerId), personal.jobId, 'the asker has its proof')

  const asker = await startAsker(mesh)
  const canary = await asker.probe({ model: mesh.cid, replicas: 3, timeoutMs: 30_000 })
  const { disputes, verdict } = await canary.closed
  assert.equal(
    disputes.map(({ loser, kind }) => [loser, kind]),
    [[liar!.peerId, 'execution']],
  )
  assert.is(verdict.label, 'refereed')
  await until('an honest provider has verified it too', () => mesh.exposed(honest!, liar!.peerId))
  assert.is(proven(mesh, honest!).get(liar!.peerId), canary.jobId, 'the canary s proof, not the private one')
})

test('a canary follows a job when that has closed, with nothing of it, and is told', async () => {
  const reports: CanaryReport[] = []
  const seen: string[] = []
  const mesh = await startMesh(scene, [undefined, undefined], {
    requester: { canaryRate: 1, onCanary: (report) => reports.push(report) },
    wrapNative: (native, node) => ({
      ...native,
      execute: (batch, signal) => {
        if (node !== 'requester') seen.push(...batch.map(({ inputs }) => Buffer.from(inputs).toString('hex')))
        return native.execute(batch, signal)
      },
    }),
  })
  const result = await ask(mesh, { timeoutMs: 30_000 })
  await result.closed
  assert.is(new Set(seen).size, 1, 'nothing but the job until then')
  let waiting = 0
  const left = await mesh.requester.idle({
    onWaiting: ({ canaries }) => {
      waiting = canaries
    },
  })
  assert.equal([waiting, left], [1, { canaries: 0, rechecks: 0 }])
  assert.is(new Set(seen).size, 2)
  const data = Buffer.from(float32Elements(X).buffer).toString('hex')
  assert.is(
    [...new Set(seen)].filter((inputs) => inputs.includes(data)).length,
    1,
    'the person s data went once',
  )
  assert.equal(
    reports.map(({ model, verdict }) => [model, verdict.label, verdict.agreed.length]),
    [[mesh.cid, 'replicated', 2]],
  )
  assert.not.equal(reports[0]!.jobId, result.jobId)
  // Its own share goes first.
  await (await ask(mesh, { canaryRate: 0 })).closed
  assert.equal(await mesh.requester.idle(), { canaries: 0, rechecks: 0 })
  assert.is(reports.length, 1)
})

test('canaries that are computed again here expose those who lie alike', async () => {
  const mesh = await startMesh(scene, [forgeLastStep, forgeLastStep], { alike: true })
  const believed = await mesh.requester.probe({ model: mesh.cid, timeoutMs: 30_000 })
  assert.is((await believed.closed).verdict.label, 'replicated')
  const canary = await mesh.requester.probe({ model: mesh.cid, recomputeRate: 1, timeoutMs: 30_000 })
  const { disputes, verdict } = await canary.closed
  assert.is(verdict.label, 'recomputed')
  assert.equal(disputes.map(({ loser }) => loser).sort(), mesh.providers.map(({ peerId }) => peerId).sort())
  assert.equal(await mesh.requester.idle(), { canaries: 0, rechecks: 0 })
  assert.equal(mesh.rechecks, [], 'the canary that was believed is nobody s answer')
})

test('models probe sends canaries and tells what came of them', async () => {
  const mesh = await startMesh(scene, [undefined, undefined, forgeMiddleStep])
  const [honest, , liar] = mesh.providers
  const args = ['models', 'probe', 'mlp', '--count', '2', '--replicas', '3', '--no-mdns', '--timeout', '120']
  const place = ['--bootstrap', honest!.multiaddrs()[0]!, '--data', scene.storeDirectory]
  const run = await startProgram('src/cli/main.ts', [...args, ...place, '--json']).ended
  assert.is(run.code, 0, run.stderr)
  const told = JSON.parse(run.stdout)
  // The second one finds only the honest.
  assert.equal([told.sent, told.agreed + told.disputed, told.disputed], [2, told.answered, 1])
  assert.is(told.canaries[0].disputes[0].loser, liar!.peerId)
  assert.is(told.proofs.length, 1)
  await until('it was told to others', () => mesh.exposed(honest!, liar!.peerId))
  const nobody = await startProgram('src/cli/main.ts', ['models', 'probe', 'mlp', '--replicas', '16']).ended
  assert.is(nobody.code, 2)
})

test('a short-lived command waits for its canaries, and says where none can be sent', async () => {
  const mesh = await startMesh(scene, [undefined, undefined])
  const args = [
    'infer',
    mesh.cid,
    '--input',
    'x=[[0.5, -1, 2, 0.25]]',
    '--canary',
    '1',
    '--timeout',
    '120',
    '--no-mdns',
    '--replicas',
    '2',
  ]
  const place = ['--bootstrap', mesh.providers[0]!.multiaddrs()[0]!, '--data']
  const [held, without] = await Promise.all([
    startProgram('src/cli/main.ts', [...args, ...place, scene.storeDirectory]).ended,
    startProgram('src/cli/main.ts', [...args, ...place, mesh.directoryOf(mesh.requester)]).ended,
  ])
  assert.equal([held.code, without.code], [0, 0], held.stderr + without.stderr)
  assert.match(held.stderr, /replicated 2\/2[\s\S]*canary: replicated, 2 of 2 agreed/)
  assert.match(without.stderr, /no canaries were sent/)
})

test.run()

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeTensors } from '../../models/tensor/index.ts'
import { DemandRefused, readDemandedJob, verifyDemand, withInputs } from '../../protocols/dispute/demand.ts'
import type { DemandMessage } from '../../protocols/dispute/messages.ts'
import type { Signer } from '../../protocols/envelope/index.ts'
import { type Receipt, sealReceipt } from '../../protocols/receipt/index.ts'
import {
  createColludingLiar,
  createFlooder,
  createFramingRequester,
  createSlanderer,
  createSybilSwarm,
  FALSE_PROOFS,
  FRAMING_DEMANDS,
  type FramingDemandName,
} from '../../src/adversary/index.ts'
import { createRandom } from '../../src/routing/index.ts'
import {
  ANSWER,
  other as accomplice,
  disputedJob,
  EXACT,
  floats,
  INPUTS,
  LANE_ID,
  OTHER_ANSWER,
  refereeTerms,
  WALL_MS,
} from '../fixtures/disputes.ts'
import { SALT, testReceipt } from '../fixtures/jobs.ts'
import { seededSigner } from '../fixtures/seeded-signer.ts'

const SEED = 17
const requester = seededSigner(1)
const provider = seededSigner(2)
const stranger = seededSigner(4)
const disputed = disputedJob(requester, provider)
const anotherJob = disputedJob(requester, provider, { nonce: new Uint8Array(16) })
const { runtime: NATIVE } = testReceipt(new Uint8Array(32), EXACT)
const EXACT_RUNTIME = { ...NATIVE, lane: 'exact', version: LANE_ID } as const

interface Demanded {
  readonly message: DemandMessage
  readonly inputs: Uint8Array
}

/** Each demand of the table as it would be sent to a provider that answered `disputed` honestly. */
const DEMANDS: Readonly<Record<FramingDemandName, () => Demanded>> = {
  'other-inputs': () => ({ message: demand(), inputs: encodeTensors([floats('x', [1, 3])]) }),
  'other-salt': () => ({ message: demand({ salt: new Uint8Array(32) }), inputs: INPUTS }),
  'job-of-another-requester': () => {
    const theirs = disputedJob(stranger, provider)
    return sent({ job: theirs.job.envelope, receipt: theirs.receipt, conflicting: theirs.conflicting })
  },
  'forged-job': () => sent({ job: flipped(disputed.job.envelope) }),
  'receipt-of-another-provider': () => sent({ receipt: receiptBy(stranger, ANSWER) }),
  'receipt-of-another-job': () => sent({ receipt: anotherJob.receipt }),
  'conflict-of-another-job': () => sent({ conflicting: anotherJob.conflicting }),
  'conflict-of-another-lane': () => {
    const exact = disputedJob(requester, provider, { lane: 'exact' })
    const terms = testReceipt(exact.job.commitment, ANSWER, { runtime: EXACT_RUNTIME })
    return sent({
      job: exact.job.envelope,
      receipt: sealReceipt(provider, terms),
      conflicting: exact.conflicting,
    })
  },
  'conflict-with-itself': () =>
    sent({ conflicting: receiptBy(provider, OTHER_ANSWER, { runtime: EXACT_RUNTIME }) }),
  'no-conflict': () => sent({ conflicting: receiptBy(accomplice, ANSWER) }),
  'no-referee': () => {
    const policy = { ...refereeTerms.policy!, referee: false }
    const plain = disputedJob(requester, provider, { policy })
    return sent({ job: plain.job.envelope, receipt: plain.receipt, conflicting: plain.conflicting })
  },
  'stale-receipt': () => {
    const atMs = WALL_MS - 172_800_000
    return sent({ receipt: receiptBy(provider, ANSWER, { startedAtMs: atMs, finishedAtMs: atMs }) })
  },
  'made-up-conflict': () => sent({ conflicting: receiptBy(accomplice, OTHER_ANSWER) }),
  'repeated-demand': () => sent({}),
}

/** What the refusal says, so that no demand is refused for another fault than its own. */
const REASONS: Readonly<Partial<Record<FramingDemandName, RegExp>>> = {
  'other-inputs': /inputs are not/,
  'other-salt': /inputs are not/,
  'job-of-another-requester': /but .* asks/,
  'forged-job': /signature/,
  'receipt-of-another-provider': /not this node/,
  'receipt-of-another-job': /about another job/,
  'conflict-of-another-job': /about another job/,
  'conflict-of-another-lane': /another lane/,
  'conflict-with-itself': /both receipts/,
  'no-conflict': /agree/,
  'no-referee': /referee/,
  'stale-receipt': /too old/,
}

for (const { name, outcome } of FRAMING_DEMANDS) {
  test(`what a framing requester demands comes to what the table says: ${name} is ${outcome}`, async () => {
    const demanded = DEMANDS[name]()
    if (outcome === 'traced') return verify(demanded)
    try {
      await verify(demanded)
    } catch (error) {
      assert.instance(error, DemandRefused)
      assert.match((error as Error).message, REASONS[name]!)
      return
    }
    assert.unreachable('it was not refused')
  })
}

test('each demand stands in the table once', () => {
  assert.equal(FRAMING_DEMANDS.map(({ name }) => name).sort(), Object.keys(DEMANDS).sort())
})

test('a framing requester tries every demand on every victim', () => {
  const victims = ['a', 'b', 'c']
  const attacker = createFramingRequester({ victims, accomplice: 'x', demandsPerSecond: 2 })
  assert.is(attacker.demandsPerSecond, 2)
  const random = createRandom(SEED)
  const tried = new Set<string>()
  const atOdds = new Set<string>()
  for (let attempt = 0; attempt < 2000; attempt++) {
    const { demand, victim, against } = attacker.next(random)
    tried.add(`${demand.name} ${victim}`)
    assert.ok(victims.includes(victim))
    if (demand.name === 'conflict-with-itself') assert.is(against, victim)
    else assert.is.not(against, victim, `${demand.name}, seed ${SEED}`)
    if (demand.name === 'other-inputs' && against !== 'x') atOdds.add(`${victim} ${against}`)
    if (demand.name === 'made-up-conflict') assert.is(against, 'x')
  }
  assert.is(atOdds.size, 6, `honest providers are set at odds in every pairing, seed ${SEED}`)
  assert.is(tried.size, FRAMING_DEMANDS.length * victims.length, `seed ${SEED}`)
})

test('with one victim alone the accomplice stands in for the other', () => {
  const attacker = createFramingRequester({ victims: ['a'], accomplice: 'x', demandsPerSecond: 1 })
  const random = createRandom(SEED)
  for (let attempt = 0; attempt < 200; attempt++) {
    const { demand, against } = attacker.next(random)
    assert.is(against, demand.name === 'conflict-with-itself' ? 'a' : 'x')
  }
})

test('a slanderer accuses each of its victims in every way, and nobody else', () => {
  const victims = ['a', 'b', 'c']
  const slanderer = createSlanderer({ victims, accusationsPerSecond: 5 })
  assert.is(slanderer.accusationsPerSecond, 5)
  const random = createRandom(SEED)
  const told = new Set<string>()
  for (let accusation = 0; accusation < 1000; accusation++) {
    const { accused, proof } = slanderer.accuse(random)
    assert.ok(victims.includes(accused))
    told.add(`${accused} ${proof}`)
  }
  assert.is(told.size, victims.length * FALSE_PROOFS.length, `seed ${SEED}`)
})

test('a flooder keeps its rate, from all its keys and to all its victims', () => {
  const victims = ['a', 'b']
  const flooder = createFlooder({ request: 'jobs', requestsPerSecond: 200, keys: 3, victims })
  const random = createRandom(SEED)
  const requests = Array.from({ length: 20_000 }, () => flooder.next(random))
  const meanMs = requests.reduce((sum, { afterMs }) => sum + afterMs, 0) / requests.length
  // The deviation of an exponential is its mean: five of the mean of 20,000.
  assert.ok(Math.abs(meanMs - 5) <= (5 * 5) / Math.sqrt(20_000), `seed ${SEED}: ${meanMs} ms`)
  assert.ok(requests.every(({ afterMs }) => Number.isFinite(afterMs) && afterMs >= 0))
  assert.equal([...new Set(requests.map(({ key }) => key))].sort(), [0, 1, 2])
  assert.equal([...new Set(requests.map(({ victim }) => victim))].sort(), victims)
})

test('attacks on nobody are refused by name', () => {
  const random = createRandom(SEED)
  for (const attack of [
    () => createSlanderer({ victims: [], accusationsPerSecond: 1 }).accuse(random),
    () => createFramingRequester({ victims: [], accomplice: 'x', demandsPerSecond: 1 }).next(random),
    () => createFlooder({ request: 'demands', requestsPerSecond: 1, keys: 1, victims: [] }).next(random),
  ]) {
    assert.throws(attack, (error: unknown) => error instanceof RangeError)
  }
})

test('the keys of a swarm lie alike, and share an address group unless one is paid for each', () => {
  const createConduct = () => createColludingLiar({ name: 'swarm', seed: 3, rate: 0.5, trace: 'lying' })
  const swarm = createSybilSwarm({ keys: 50, group: '203.0.113', createConduct })
  assert.is(swarm.keys, 50)
  assert.is(swarm.group, '203.0.113')
  assert.is(createSybilSwarm({ keys: 50, createConduct }).group, undefined)
  const random = createRandom(SEED)
  const [one, two] = [swarm.createConduct(), swarm.createConduct()]
  assert.is.not(one, two)
  for (let content = 0; content < 100; content++) {
    const job = { jobId: `${content}`, content, requester: 'r', model: 'm', nowMs: 0 }
    assert.equal(one.answer(job, random), two.answer(job, random))
  }
})

test.run()

function demand(changes: Partial<DemandMessage> = {}): DemandMessage {
  return {
    job: disputed.job.envelope,
    salt: SALT,
    receipt: disputed.receipt,
    conflicting: disputed.conflicting,
    inputBytes: INPUTS.byteLength,
    timeoutMs: 10_000,
    laneId: LANE_ID,
    ...changes,
  }
}

function sent(changes: Partial<DemandMessage>): Demanded {
  return { message: demand(changes), inputs: INPUTS }
}

function receiptBy(signer: Signer, outputs: Uint8Array, changes: Partial<Receipt> = {}) {
  return sealReceipt(signer, testReceipt(disputed.job.commitment, outputs, changes))
}

/** As the victim does it. Rejects with DemandRefused. */
async function verify({ message, inputs }: Demanded): Promise<void> {
  const context = { remotePeer: requester.peerId, self: provider.peerId, wallMs: WALL_MS }
  await withInputs(verifyDemand(message, readDemandedJob(message), context), inputs)
}

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy[copy.length - 1] = copy.at(-1)! ^ 1
  return copy
}

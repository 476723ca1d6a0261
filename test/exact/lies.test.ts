/** A lie in every leaf of every small model with an If or a Loop in it: each is pinned to that leaf, and proved. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Plan, stepAt } from '../../models/plan/index.ts'
import { createInProcessExactRuntime, RuntimeError } from '../../models/runtime/index.ts'
import { encodeTensors } from '../../models/tensor/index.ts'
import {
  ABSENT,
  decodeLeaf,
  digestValue,
  flagValue,
  type Leaf,
  parsePosition,
  type Value,
} from '../../models/trace/index.ts'
import { assertPinned, setScene } from './dispute.ts'
import { supplyEngine } from './lane.ts'
import { createLiar, type Liar, type Testimony } from './liar.ts'
import { changed, given, lied } from './lies.ts'
import { TEST_SET } from './models/index.ts'
import { createSamples } from './models/model.ts'

/** Longer ones have the same leaves many times. */
const LEAVES_MAX = 70
const MODELS = TEST_SET.filter(
  ({ name, leavesMin }) => /^(loop|if|unsorted)/.test(name) && leavesMin <= LEAVES_MAX,
)

test('a lie in any operand or output of any leaf is pinned to that leaf, whatever the control flow', async () => {
  const supply = supplyEngine()
  const told = { shape: 0, wiring: 0, execution: 0 }
  for (const { name, load, inputs: sample } of MODELS) {
    const files = load()
    const inputs = encodeTensors(sample(1))
    const scene = await setScene(createInProcessExactRuntime(files.model, { supplyEngine: supply }), inputs)
    const liar = createLiar(files, await supply())
    for (const [index, encoded] of scene.honest.leaves.entries()) {
      const leaf = decodeLeaf(encoded)
      const drawn = drawPlace(leaf, index)
      if (drawn === undefined) continue
      const testimony = tryToTestify(liar, inputs, leaf.position, drawn)
      if (testimony === undefined) continue
      const kind = kindOf(scene.plan, leaf, drawn)
      const about = `${name} ${leaf.position}: ${drawn.where} ${drawn.at}`
      assertPinned(await scene.dispute(testimony, scene.honest), kind, leaf.position, about)
      told[kind]++
    }
  }
  assert.ok(
    Object.values(told).every((count) => count > 50),
    `lies of each kind: ${JSON.stringify(told)}`,
  )
})

/** Where in a leaf a lie is told. */
interface Place {
  readonly where: 'operands' | 'outputs'
  readonly at: number
}

/** One that is there; undefined where there is none. */
function drawPlace(leaf: Leaf, seed: number): Place | undefined {
  const places = (['operands', 'outputs'] as const).flatMap((where) =>
    leaf[where].flatMap((digest, at) => (Buffer.compare(digest, ABSENT) === 0 ? [] : [{ where, at }])),
  )
  return places[createSamples(seed).integers(1, 0, places.length)[0]!]
}

/** Undefined where nothing can be changed there, or the engine does not go on with it: no trace is signed. */
function tryToTestify(
  liar: Liar,
  inputs: Uint8Array,
  position: string,
  { where, at }: Place,
): Testimony | undefined {
  let isTold = false
  const other = (was: Value): Value => {
    const changedValue = changed(was)
    isTold = changedValue !== undefined
    return changedValue ?? was
  }
  const lie = where === 'operands' ? given(at, other) : lied(at, other)
  try {
    const testimony = liar.testify(inputs, { [position]: lie })
    return isTold ? testimony : undefined
  } catch (error) {
    if (error instanceof RuntimeError) return undefined
    throw error
  }
}

/** What it takes to see that one such value of a leaf is false, by the rules for its position. */
function kindOf(plan: Plan, { position, operands, outputs }: Leaf, { where, at }: Place) {
  if (where === 'operands') return 'wiring'
  const step = stepAt(plan, position)!
  const { phase } = parsePosition(position)
  if (step.kind === 'operator') return 'execution'
  if (step.kind === 'if') return 'shape'
  if (phase === 'end') return at < step.carried ? 'shape' : 'execution'
  // A decision follows from the condition alone, but where there is a trip count and the condition holds.
  const isOn = Buffer.compare(outputs[2]!, digestValue(flagValue(true, step.conditionRank))) === 0
  const isCounted = Buffer.compare(operands[0]!, ABSENT) !== 0
  return at === 0 && isOn && isCounted ? 'execution' : 'shape'
}

test.run()

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createStubRuntime, RuntimeError } from '../../../models/runtime/index.ts'
import { codeOf, executionOf, resultOf, rowsOf, signatureOf } from './executions.ts'

const forever = new AbortController().signal
const signature = signatureOf(2)

test('equal seeds give equal outputs, other seeds others', async () => {
  const run = async (seed: number) => {
    const [outcome] = await createStubRuntime({ seed, signature }).execute(
      [executionOf(rowsOf([1, 2]))],
      forever,
    )
    return resultOf(outcome)
  }
  assert.equal(await run(1), await run(1))
  assert.not.equal(await run(1), await run(2))
})

test('checks digest and inputs, each entry for itself', async () => {
  const good = executionOf(rowsOf([1, 2]))
  const outcomes = await createStubRuntime({ seed: 1, signature }).execute(
    [good, { ...good, inputDigest: new Uint8Array(32) }, executionOf(rowsOf([1, 2, 3]))],
    forever,
  )
  assert.equal(outcomes.map(codeOf), ['ok', 'digest-mismatch', 'input-mismatch'])
})

test('an abort ends the delay as aborted, a time-out as deadline, close as closed', async () => {
  const delay = (_ms: number, signal: AbortSignal) =>
    new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  for (const [reason, code] of [
    [new Error('enough'), 'aborted'],
    [new DOMException('late', 'TimeoutError'), 'deadline'],
    [undefined, 'closed'],
  ] as const) {
    const runtime = createStubRuntime({ seed: 1, serviceMs: 5, delay })
    const controller = new AbortController()
    const execution = runtime.execute([executionOf(rowsOf([1, 2]))], controller.signal)
    if (reason === undefined) await runtime.close()
    else controller.abort(reason)
    const error = await execution.then(
      () => undefined,
      (error: unknown) => error,
    )
    assert.instance(error, RuntimeError)
    assert.is((error as RuntimeError).code, code)
  }
})

test.run()

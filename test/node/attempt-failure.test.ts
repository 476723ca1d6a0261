/** Who is to blame for what: a network fault is nobody's, a broken protocol is the provider's. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ManifestError } from '../../models/manifest/index.ts'
import { InferenceError, type InferenceErrorCode } from '../../protocols/inference/index.ts'
import { ReceiptError } from '../../protocols/receipt/index.ts'
import { attemptFailure, refusalCode } from '../../src/node/attempt-failure.ts'
import type { AttemptFailureCode } from '../../src/requester/index.ts'

test('each fault of a request means one thing for the job', () => {
  const meanings: Record<InferenceErrorCode, AttemptFailureCode> = {
    unreachable: 'unreachable',
    timeout: 'timeout',
    'hung-up': 'hung-up',
    aborted: 'hung-up',
    'too-many-requests': 'busy',
    malformed: 'protocol-violation',
    'frame-too-long': 'protocol-violation',
    'wrong-job': 'protocol-violation',
    'broken-commitment': 'protocol-violation',
    withheld: 'timeout',
  }
  for (const [code, meaning] of Object.entries(meanings) as [InferenceErrorCode, AttemptFailureCode][]) {
    const failure = attemptFailure(new InferenceError(code, 'why'))
    assert.equal([failure.code, failure.message], [meaning, 'why'], code)
  }
})

test('a receipt that does not verify breaks the protocol; a shape that no provider gives does not', () => {
  assert.is(attemptFailure(new ReceiptError('bad-signature', 'forged')).code, 'protocol-violation')
  assert.is(attemptFailure(new ManifestError('output-shape', 'not as declared')).code, 'refused')
  assert.is(attemptFailure(new ManifestError('output-mismatch', 'another name')).code, 'protocol-violation')
})

test('a refusal that is not known means no more than a refusal', () => {
  for (const code of ['busy', 'stopping', 'unknown-model', 'invalid-job', 'failed']) {
    assert.is(refusalCode(code), code)
  }
  assert.is(refusalCode('expired'), 'refused')
  assert.is(refusalCode('your-fault'), 'refused')
})

test.run()

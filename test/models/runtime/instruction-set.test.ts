import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { detectInstructionSet } from '../../../models/runtime/index.ts'
import { classifyX64 } from '../../../models/runtime/instruction-set.ts'

test('x64 is classed by the flags that choose the kernels', () => {
  const cases = [
    ['fpu sse sse2', 'x64'],
    ['fpu avx avx2', 'x64'],
    ['fpu avx2 fma', 'x64-avx2'],
    ['fpu avx2 fma avx512f', 'x64-avx2'],
    ['fpu avx2 fma avx512f avx512bw avx512dq avx512vl', 'x64-avx512'],
    ['fpu avx2_not fma', 'x64'],
  ]
  for (const [flags, expected] of cases) {
    const text = `processor\t: 0\nflags\t\t: ${flags}\nbugs\t\t: spectre_v1\n`
    assert.is(classifyX64(text), expected, flags)
  }
  assert.is(classifyX64(''), 'x64')
})

test('this machine has a class', () => {
  assert.match(detectInstructionSet(), /^(x64(-avx2|-avx512)?|arm64|[a-z0-9]+)$/)
})

test.run()

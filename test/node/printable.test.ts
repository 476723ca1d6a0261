import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createLog, printable, printableJson } from '../../src/node/index.ts'

/** Clears the screen in two ways, sets a title, deletes, and turns the order of what follows. */
const HOSTILE = 'a\u001b[2Jb\u009b2Jc\u001b]0;title\u0007d\u007fe\u202ef\u2066g\r\nh'
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/

test('what a peer says can neither command a terminal nor turn the order of what it shows', () => {
  assert.match(HOSTILE, HARMFUL)
  assert.not.match(printable(HOSTILE), HARMFUL)
  assert.is(printable('plain, größer, 文字, \u200fעברית'), 'plain, größer, 文字, \u200fעברית')
})

test('JSON for a terminal is as harmless, and the same value', () => {
  const text = printableJson({ said: HOSTILE, [HOSTILE]: 1 })
  assert.not.match(text, HARMFUL)
  assert.equal(JSON.parse(text), { said: HOSTILE, [HOSTILE]: 1 })
})

test('neither form of the log lets it through', () => {
  for (const json of [true, false]) {
    const lines: string[] = []
    const log = createLog({ level: 'debug', json, write: (line) => lines.push(line) })
    log.warn('a peer said', { words: HOSTILE, error: new Error(HOSTILE) })
    assert.is(lines.length, 1)
    assert.not.match(lines[0]!, HARMFUL)
  }
})

test.run()

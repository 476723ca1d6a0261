/** What the commands say when something is wrong, without a process for each. */
import { CommanderError } from 'commander'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CATALOGUE } from '../../models/catalogue/index.ts'
import { openModelStore } from '../../models/store/index.ts'
import { CommandError, reportFailure, reportMisuse } from '../../src/cli/failure.ts'
import { addCommand, resolveModel } from '../../src/cli/model-address.ts'
import { askNotes } from '../../src/cli/notes.ts'
import { type AskOptions, parseProbeReplicas, parseSeconds, termsOf } from '../../src/cli/options.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import { doubtOf } from '../../src/cli/verdict.ts'
import type { Verdict } from '../../src/verification/index.ts'
import { scratchDirectory, stopNodes } from '../fixtures/nodes.ts'

test.after(stopNodes)

const [OCR] = CATALOGUE
const UNKNOWN = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const ASKED: AskOptions = {
  ...{ data: '/data', json: false, bootstrap: [], recompute: 0, publicDisputes: false, openCall: false },
  ...{ timeout: 30, digestsOnly: false, mdns: false, verbose: false },
}

test('a program is told of a wrong call, and of the cause of a failure, in one JSON object', () => {
  const misuse = new CommanderError(1, 'commander.invalidArgument', "error: option '--risk <p>' is invalid.")
  const wrong = told((terminal) => reportMisuse(misuse, terminal, true))
  assert.equal(wrong, [2, [{ error: { code: 'usage', message: "option '--risk <p>' is invalid." } }], []])
  assert.equal(
    told((terminal) => reportMisuse(misuse, terminal, false)),
    [2, [], []],
  )
  const help = new CommanderError(0, 'commander.helpDisplayed', '(outputHelp)')
  assert.equal(
    told((terminal) => reportMisuse(help, terminal, true)),
    [0, [], []],
  )

  const cause = new Error('ENOENT: no such file')
  const failure = new CommandError('unreadable-input', 'cannot read x.png', { cause })
  const [code, [object]] = told((terminal) => reportFailure(failure, terminal, true))
  assert.is(code, 1)
  assert.is(object.error.message, 'cannot read x.png; because: ENOENT: no such file')
})

test('where nothing may be written, it is told where, why and what to do', () => {
  const denied = Object.assign(new Error("EACCES: permission denied, mkdir '/data/models'"), {
    ...{ code: 'EACCES', syscall: 'mkdir', path: '/data/models' },
  })
  const [code, , lines] = told((terminal) => reportFailure(denied, terminal, false))
  assert.is(code, 1)
  assert.match(
    String(lines[0]),
    /^error \(unwritable-output\): \/data\/models cannot be written\. .*--data DIR/,
  )
  assert.match(String(lines[1]), /because: EACCES: permission denied/)
})

test('a mistyped address is malformed, and no unknown name', async () => {
  const store = await openModelStore(await scratchDirectory())
  const codeOf = (text: string): string => {
    try {
      return resolveModel(text, store)
    } catch (error) {
      return (error as CommandError).code
    }
  }
  assert.is(codeOf(UNKNOWN), UNKNOWN)
  assert.is(codeOf(UNKNOWN.replace('z', '1')), 'malformed-address')
  assert.is(codeOf(UNKNOWN.slice(0, -2)), 'malformed-address')
  assert.equal(['baffin', 'bafflement-of-crowds'].map(codeOf), ['unknown-model', 'unknown-model'])
})

test('who has to add a model is told which', () => {
  assert.is(addCommand(OCR!.cid, '/data'), 'verimesh models add ocr --data /data')
  assert.is(addCommand(UNKNOWN, '/data'), 'verimesh models add SOURCE --data /data')
  for (const options of [{}, { risk: 0.1 }, { policy: 'quorum', canary: 1 }] as const) {
    const [note] = askNotes({ ...ASKED, ...options }, OCR!.cid, false, [])
    assert.match(note!, /verimesh models add ocr --data \/data$/)
  }
})

test('who asked for more providers than there are is told how many could be asked', () => {
  const verdict = (label: Verdict['label'], asked: number): Verdict => ({
    ...{ label, asked, agreed: [], disagreed: [], groups: 0 },
  })
  const notes = (verdicts: Verdict[]) => askNotes({ ...ASKED, replicas: 5 }, OCR!.cid, true, verdicts)
  assert.equal(notes([verdict('recomputed', 3)]), [
    'only 3 of 5 providers could be asked; the rest was computed here',
  ])
  assert.equal(notes([verdict('replicated', 5), verdict('refereed', 4)]), [
    'only 4 of 5 providers could be asked in 1 of 2 jobs',
  ])
  assert.equal(notes([verdict('replicated', 5), verdict('replicated', 6)]), [])
})

test('terms that cannot be are a wrong call, before anything is started', () => {
  assert.throws(
    () => termsOf({ ...ASKED, policy: 'referee', replicas: 1 }),
    (error: CommandError) => error.code === 'usage' && /--replicas 2 or more/.test(error.message),
  )
  assert.throws(() => parseProbeReplicas('1'), /from 2 to 15/)
  assert.is(parseProbeReplicas('2'), 2)
  assert.throws(() => parseSeconds('0'), /more than 0/)
})

test('a probability is told by its figure, however small', () => {
  assert.match(doubtOf(1.234e-12), /at most 1\.2e-12$/)
  assert.match(doubtOf(0), /this machine ran it too/)
})

test.run()

/** The exit code, the objects and the lines of a report. */
// biome-ignore lint/suspicious/noExplicitAny: the test looks into what a stranger would read
function told(report: (terminal: Terminal) => number): [number, any[], string[]] {
  const objects: unknown[] = []
  const lines: string[] = []
  const code = report({
    print: (line) => lines.push(line),
    printJson: (value) => objects.push(value),
    note: (line) => lines.push(line),
    progress: () => {},
  })
  return [code, objects, lines]
}

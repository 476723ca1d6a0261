import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { openModelStore } from '../../models/store/index.ts'
import {
  createTask,
  decodeImage,
  type Execute,
  type PageReading,
  TaskError,
  type TaskModel,
} from '../../models/task/index.ts'
import { type DisputeReport, type JobResult, printable } from '../node/index.ts'
import type { Verdict } from '../verification/index.ts'
import { CommandError } from './failure.ts'
import { resolveModel } from './model-address.ts'
import { askNotes } from './notes.ts'
import { type AskOptions, askOptions, termsOf } from './options.ts'
import { noteUnreachable, openSession, type Session } from './session.ts'
import type { Terminal } from './terminal.ts'
import { disputeLine, doubtOf } from './verdict.ts'

export function addRunCommand(program: Command, terminal: Terminal, dataDirectory: string): void {
  const command = program
    .command('run')
    .argument('<model>', 'a name or an address of a model with a task')
    .argument('<file>', 'what the task takes: an image file for ocr')
    .description(
      'give a model what people have, and get what people want: `run ocr page.png` prints the text',
    )
  askOptions(command, dataDirectory)
    .addHelpText('after', HELP)
    .action((model: string, file: string, options: AskOptions) => run(model, file, options, terminal))
}

const HELP = `
Examples:
  verimesh run ocr page.png > page.txt
  verimesh run ocr page.png --replicas 1 --bootstrap /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo...

The text goes to standard output, everything else to standard error.
`

/** One job of the task, as it is told at the end. */
interface JobLine {
  readonly label: string
  readonly jobId: string
  readonly model: string
  readonly verdict: Verdict
  readonly wrong: number | undefined
  readonly receipt: string | undefined
  readonly disputes: readonly DisputeReport[]
}

async function run(text: string, file: string, options: AskOptions, terminal: Terminal): Promise<void> {
  const terms = termsOf(options)
  const store = await openModelStore(options.data)
  const cid = resolveModel(text, store)
  const image = await readImage(file)
  const startedAtMs = performance.now()
  const stop = new AbortController()
  const onInterrupt = (): void => stop.abort(new CommandError('refused', 'interrupted'))
  process.once('SIGINT', onInterrupt)
  const session = await openSession({ ...options, terminal })
  try {
    const asked: Promise<JobLine>[] = []
    const { task, addresses } = await loadTask(session, cid, options, stop.signal)
    terminal.progress('asking the mesh ...')
    const execute: Execute = async ({ role, inputs, label, signal }) => {
      const result = await session.submit({
        model: addresses[role] ?? cid,
        inputs,
        ...terms,
        signal,
      })
      asked.push(jobLine(label, result, terminal))
      return result.outputs
    }
    const reading = await task.run(image, execute, {
      signal: stop.signal,
      onProgress: (progress) =>
        terminal.progress(
          progress.stage === 'detected'
            ? `found ${progress.total} lines of text ...`
            : `read ${progress.done} of ${progress.total} lines ...`,
        ),
    })
    const elapsedMs = performance.now() - startedAtMs
    if (reading.text === '') terminal.note('no text found')
    else if (!options.json) terminal.print(reading.text.split('\n').map(printable).join('\n'))
    terminal.progress('waiting for the last replicas, for the record ...')
    const jobs = await Promise.all(asked)
    show(reading, jobs, elapsedMs, options, terminal)
    const isHeld = store.get(cid) !== undefined
    const verdicts = jobs.map(({ verdict }) => verdict)
    for (const note of askNotes(options, cid, isHeld, verdicts)) terminal.note(note)
    await session.finish(options, stop.signal)
  } finally {
    terminal.progress('')
    process.off('SIGINT', onInterrupt)
    noteUnreachable(session, terminal)
    await session.close()
  }
}

/** The task of a model, with the companions that it names. */
async function loadTask(
  session: Session,
  cid: string,
  options: AskOptions,
  signal: AbortSignal,
): Promise<{ task: ReturnType<typeof createTask>; addresses: Readonly<Record<string, string>> }> {
  const model = await session.describe(cid, signal, options)
  if (model.manifest.task === undefined) {
    throw new CommandError(
      'no-task',
      `${model.manifest.name} declares no task, only tensors: verimesh infer ${cid} --input NAME=FILE.npy`,
    )
  }
  const addresses = model.manifest.task.companions
  const companions: Record<string, TaskModel> = {}
  for (const [role, companion] of Object.entries(addresses)) {
    companions[role] = await session.describe(companion, signal, options)
  }
  return { task: createTask(model, companions), addresses }
}

async function jobLine(label: string, result: JobResult, terminal: Terminal): Promise<JobLine> {
  const { verdict, bundle, bundleError, disputes } = await result.closed
  if (bundleError !== undefined) terminal.note(`warning: ${bundleError.message}`)
  const { jobId, model, wrong } = result
  return { label, jobId, model, verdict, wrong, receipt: bundle, disputes }
}

function show(
  reading: PageReading,
  jobs: readonly JobLine[],
  elapsedMs: number,
  options: AskOptions,
  terminal: Terminal,
): void {
  if (options.json) {
    terminal.printJson({ text: reading.text, lines: reading.lines, jobs, elapsedMs })
    return
  }
  const providers = new Set(jobs.flatMap(({ verdict }) => verdict.agreed))
  const dissenters = new Set(jobs.flatMap(({ verdict }) => verdict.disagreed))
  const seconds = (elapsedMs / 1000).toFixed(1)
  terminal.note(`jobs: ${jobs.length} in ${seconds} s, answered by ${providers.size} of the mesh`)
  for (const line of restsOn(jobs, options)) terminal.note(line)
  // What this machine ran too is not wrong by anybody's record.
  const doubts = jobs.flatMap(({ wrong }) => (wrong === undefined || wrong === 0 ? [] : [wrong]))
  if (doubts.length > 0) {
    const worst = doubtOf(Math.max(...doubts))
    terminal.note(
      `by what is known of those who answered, each is ${worst}, and of all of them together at least one is ${doubtOf(anyOf(doubts))}`,
    )
  }
  for (const provider of dissenters) {
    const count = jobs.filter(({ verdict }) => verdict.disagreed.includes(provider)).length
    terminal.note(`${provider} answered something else on ${count} of them`)
  }
  for (const { label, disputes } of jobs)
    for (const dispute of disputes) terminal.note(`${label}: ${disputeLine(dispute)}`)
  const [receipt] = jobs.flatMap(({ receipt: path }) => path ?? [])
  if (receipt !== undefined) {
    terminal.note(
      `receipts, with inputs and outputs (--digests-only leaves them out): ${join(options.data, 'receipts')}`,
    )
    terminal.note(`check one: verimesh receipt verify ${receipt}`)
  }
}

/** The probability that at least one of these comes true, whatever they have to do with each other. */
function anyOf(probabilities: readonly number[]): number {
  return Math.min(
    1,
    probabilities.reduce((sum, one) => sum + one, 0),
  )
}

/** What the answers rest on, the weakest first. */
function restsOn(jobs: readonly JobLine[], { risk }: AskOptions): string[] {
  return LABELS.flatMap(({ label, means, known = means }) => {
    const count = jobs.filter(({ verdict }) => verdict.label === label).length
    const what = risk === undefined ? means : known
    return count === 0 ? [] : [`${count === jobs.length ? 'all' : count} ${label}: ${what}`]
  })
}

const LABELS: readonly {
  readonly label: Verdict['label']
  readonly means: string
  /** What it means where the records of providers decided. */
  readonly known?: string
}[] = [
  {
    label: 'signed',
    means: "one provider's word, nobody checked it; --replicas 3 has others run it too",
    known: "one provider's word, of whom enough is known",
  },
  { label: 'replicated', means: 'independent providers gave the same answer' },
  { label: 'refereed', means: 'a dispute was decided by running the disputed step again' },
  { label: 'recomputed', means: 'this machine ran it again itself' },
]

/** Throws CommandError, or TaskError with the name of the file. */
async function readImage(file: string): ReturnType<typeof decodeImage> {
  const bytes = await readInput(file)
  try {
    return await decodeImage(bytes)
  } catch (error) {
    if (!(error instanceof TaskError)) throw error
    throw new TaskError(error.code, `${file}: ${error.message}`, { cause: error.cause })
  }
}

async function readInput(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new CommandError('unreadable-input', `cannot read ${file}`, { cause })
  }
}

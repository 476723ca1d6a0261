import { Command, CommanderError, type Option } from 'commander'
import { prepareHeap, VERSION } from '../node/index.ts'
import { reportFailure, reportMisuse } from './failure.ts'
import { defaultDataDirectory } from './options.ts'
import { createTerminal, type Terminal } from './terminal.ts'

prepareHeap()
const terminal = createTerminal()
/** Looked for before anything is parsed: what cannot be parsed is told in the same form. */
const isJson = process.argv.includes('--json')
const dataDirectory = defaultDataDirectory()
const program = new Command('verimesh')
  .description('AI inference by machines you cannot see, with receipts that you can check.')
  .version(VERSION, '-V, --version')
  .exitOverride()
  .configureOutput(isJson ? { writeErr: () => {} } : {})
  // "(default: [])" and "(default: false)" tell nobody anything.
  .configureHelp({ optionDescription: describeOption })
  .showHelpAfterError('(more with --help)')
  .addHelpText(
    'after',
    `
First steps:
  join the mesh and provide a model      verimesh start --model ocr
  read a page with it, from elsewhere    verimesh run ocr page.png --bootstrap MULTIADDR
  check the answer's receipt, offline    verimesh receipt verify FILE
`,
  )

function describeOption({ description, defaultValue }: Option): string {
  const isPlain = typeof defaultValue === 'string' || typeof defaultValue === 'number'
  return isPlain ? `${description} (default: ${defaultValue})` : description
}

/**
 * By the names that a person calls them by, in the order of the help. Only the one that is called is loaded, since most of a
 * command's time is loading what it imports; who asks for help, or for what there is not, sees all.
 */
const commands: readonly (readonly [names: readonly string[], load: () => Promise<AddCommands>])[] = [
  [['start'], async () => (await import('./start.ts')).addStartCommand],
  [['run'], async () => (await import('./run.ts')).addRunCommand],
  [['infer'], async () => (await import('./infer.ts')).addInferCommand],
  [['models'], async () => (await import('./models.ts')).addModelsCommands],
  [['receipt'], async () => (await import('./receipt.ts')).addReceiptCommands],
  [['fraud'], async () => (await import('./fraud.ts')).addFraudCommands],
  [['status'], async () => (await import('./status.ts')).addStatusCommand],
  [['peers'], async () => (await import('./peers.ts')).addPeersCommands],
  [['simulate'], async () => (await import('./simulate.ts')).addSimulateCommand],
]
type AddCommands = (program: Command, terminal: Terminal, dataDirectory: string) => void

const called = commands.filter(([names]) => names.includes(process.argv[2] ?? ''))
for (const [, load] of called.length > 0 ? called : commands) {
  const add = await load()
  add(program, terminal, dataDirectory)
}

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode =
    error instanceof CommanderError
      ? reportMisuse(error, terminal, isJson)
      : reportFailure(error, terminal, isJson)
}

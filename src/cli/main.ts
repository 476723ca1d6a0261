import { Command, CommanderError, type Option } from 'commander'
import { prepareHeap, VERSION } from '../node/index.ts'
import { reportFailure } from './failure.ts'
import { addFraudCommands } from './fraud.ts'
import { addInferCommand } from './infer.ts'
import { addModelsCommands } from './models.ts'
import { defaultDataDirectory } from './options.ts'
import { addReceiptCommands } from './receipt.ts'
import { addRunCommand } from './run.ts'
import { addSimulateCommand } from './simulate.ts'
import { addStartCommand } from './start.ts'
import { addStatusCommands } from './status.ts'
import { createTerminal } from './terminal.ts'

prepareHeap()
const terminal = createTerminal()
const dataDirectory = defaultDataDirectory()
const program = new Command('verimesh')
  .description('AI inference by machines you cannot see, with receipts that you can check.')
  .version(VERSION, '-V, --version')
  .exitOverride()
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

addStartCommand(program, terminal, dataDirectory)
addRunCommand(program, terminal, dataDirectory)
addInferCommand(program, terminal, dataDirectory)
addModelsCommands(program, terminal, dataDirectory)
addReceiptCommands(program, terminal)
addFraudCommands(program, terminal, dataDirectory)
addStatusCommands(program, terminal, dataDirectory)
addSimulateCommand(program, terminal)

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode =
    error instanceof CommanderError
      ? error.exitCode === 0
        ? 0
        : 2
      : reportFailure(error, terminal, process.argv.includes('--json'))
}

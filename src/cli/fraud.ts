import type { Command } from 'commander'
import { prepareExactHost } from '../../models/runtime/index.ts'
import type { CommonOptions } from './options.ts'
import type { Terminal } from './terminal.ts'

export interface VerifyOptions extends CommonOptions {
  readonly model?: string
}

export function addFraudCommands(program: Command, terminal: Terminal, dataDirectory: string): void {
  const fraud = program.command('fraud').description('proofs that a key signed something false')
  fraud
    .command('list')
    .description('keys that this node holds a proof against')
    .option('--data <dir>', 'where proofs lie', dataDirectory)
    .option('--json', 'print one JSON array', false)
    .action(async (options: CommonOptions) => (await import('./fraud-proofs.ts')).list(options, terminal))
  fraud
    .command('show')
    .argument('<proof>', 'a file, or a peer id that this node holds a proof against')
    .description('what a proof claims; nothing is verified')
    .option('--data <dir>', 'where proofs lie', dataDirectory)
    .option('--json', 'print one JSON object', false)
    .action(async (proof: string, options: CommonOptions) =>
      (await import('./fraud-proofs.ts')).show(proof, options, terminal),
    )
  fraud
    .command('verify')
    .argument('<proof>', 'a file, or a peer id that this node holds a proof against')
    .description(
      'verify a proof offline, trusting nobody: it needs the model, and runs one step of it at most',
    )
    .option('--model <dir|cid>', 'the model: a directory, an .onnx file, or a model of this machine')
    .option('--data <dir>', 'where models and proofs lie', dataDirectory)
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', HELP)
    .action(async (proof: string, options: VerifyOptions) => {
      // The engine takes longer to start than all else: it begins before anything is read, or even loaded.
      const prepared = prepareExactHost()
      try {
        const { verify } = await import('./fraud-verification.ts')
        await verify(proof, options, terminal, prepared)
      } finally {
        prepared.close()
      }
    })
}

const HELP = `
Exit code: 0 valid, 3 undecided (the model is not at hand, or it could not be found out), 4 invalid; 1 and 2 are errors.

Examples:
  verimesh fraud verify 12D3Koo....proof
  verimesh fraud verify 12D3Koo....proof --model ./classifier
`

import { JobError, printable } from '../node/index.ts'
import type { Terminal } from './terminal.ts'

export type CommandErrorCode =
  | 'usage'
  | 'unknown-model'
  | 'no-task'
  | 'unreadable-input'
  | 'unwritable-output'
  | 'name-taken'
  | 'refused'
  | 'unknown-peer'
  | 'no-identity'

/** What a command itself has to complain about. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly code: CommandErrorCode

  constructor(code: CommandErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Tells the person what happened, why and what to do; a machine gets `{ error: { code, message, ... } }` on standard
 * output. Returns the exit code: 2 for a wrong call, else 1.
 */
export function reportFailure(error: unknown, terminal: Terminal, json: boolean): number {
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (json) {
    const failure = error instanceof JobError ? error.failure : undefined
    terminal.printJson({
      error: {
        code,
        message,
        ...(failure === undefined
          ? {}
          : { found: failure.found, needed: failure.needed, attempts: failure.attempts }),
      },
    })
  } else {
    const [first, ...rest] = message.split('\n')
    terminal.note(`error (${code}): ${printable(first ?? '')}`)
    for (const line of rest) terminal.note(printable(line))
    if (error instanceof JobError) {
      for (const { provider, failure } of error.failure.attempts) {
        terminal.note(`  ${provider}: ${failure.code}: ${printable(failure.message)}`)
      }
    }
    for (const cause of causes(error, message)) terminal.note(`  because: ${printable(cause)}`)
    if (code === 'unexpected' && error instanceof Error && error.stack !== undefined)
      terminal.note(error.stack)
  }
  return code === 'usage' ? 2 : 1
}

function codeOf(error: unknown): string {
  if (error instanceof JobError) return error.failure.code
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return 'unexpected'
}

/** Why, in what the person has not been told yet. Some libraries put whole stacks into a message: its first line does. */
function causes(error: unknown, message: string): string[] {
  const found: string[] = []
  let cause = error instanceof Error ? error.cause : undefined
  // A chain of causes is short; a ring of them would not end.
  for (let depth = 0; cause instanceof Error && depth < 5; depth++, cause = cause.cause) {
    const line = cause.message.split('\n')[0]?.trim() ?? ''
    if (line !== '' && !message.includes(line) && !found.includes(line)) found.push(line)
  }
  return found
}

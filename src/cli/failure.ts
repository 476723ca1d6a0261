import type { CommanderError } from 'commander'
import { JobError, printable } from '../node/index.ts'
import type { Terminal } from './terminal.ts'

export type CommandErrorCode =
  | 'usage'
  | 'unknown-model'
  | 'malformed-address'
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
 * What a call that could not be understood comes to; `error` was told to people when it was found. Returns the exit code: 0 where
 * help or the version was asked for.
 */
export function reportMisuse(error: CommanderError, terminal: Terminal, json: boolean): number {
  if (error.exitCode === 0) return 0
  if (json) {
    // Where a command is missing the help is shown, and nothing said.
    const said = error.code === 'commander.help' ? 'a command is missing: see --help' : error.message
    terminal.printJson({ error: { code: 'usage', message: said.replace(/^error: /, '') } })
  }
  return 2
}

/**
 * Tells the person what happened, why and what to do; a machine gets `{ error: { code, message, ... } }` on standard
 * output. Returns the exit code: 2 for a wrong call, else 1.
 */
export function reportFailure(error: unknown, terminal: Terminal, json: boolean): number {
  const code = codeOf(error)
  const message = messageOf(error)
  const because = causes(error, message)
  if (json) {
    const failure = error instanceof JobError ? error.failure : undefined
    terminal.printJson({
      error: {
        code,
        message: [message, ...because].join('; because: '),
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
    for (const cause of because) terminal.note(`  because: ${printable(cause)}`)
    if (code === 'unexpected' && error instanceof Error && error.stack !== undefined)
      terminal.note(error.stack)
  }
  return code === 'usage' ? 2 : 1
}

function codeOf(error: unknown): string {
  if (isDenied(error)) return 'unwritable-output'
  if (error instanceof JobError) return error.failure.code
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return 'unexpected'
}

function messageOf(error: unknown): string {
  if (isDenied(error)) {
    // Whoever opens a file may have wanted to read it.
    const what = error.syscall === 'open' ? 'cannot be opened' : 'cannot be written'
    return `${error.path} ${what}. Choose another directory (--data DIR for what is kept here), or make this one yours`
  }
  return error instanceof Error ? error.message : String(error)
}

/** Whether the system refused to write: a data directory that is read-only, or somebody else's. */
function isDenied(error: unknown): error is NodeJS.ErrnoException & { readonly path: string } {
  if (!(error instanceof Error) || !('code' in error && 'syscall' in error && 'path' in error)) return false
  const { code, syscall } = error
  return (
    /^(EACCES|EPERM|EROFS)$/.test(String(code)) &&
    /^(mkdir|mkdtemp|rename|open|unlink|copyfile)$/.test(String(syscall))
  )
}

/** Why, in what the person has not been told yet. Some libraries put whole stacks into a message: its first line does. */
function causes(error: unknown, message: string): string[] {
  const found: string[] = []
  // What the system said, where it was put into words above, is the cause itself.
  let cause = isDenied(error) ? error : error instanceof Error ? error.cause : undefined
  // A chain of causes is short; a ring of them would not end.
  for (let depth = 0; cause instanceof Error && depth < 5; depth++, cause = cause.cause) {
    const line = cause.message.split('\n')[0]?.trim() ?? ''
    if (line !== '' && !message.includes(line) && !found.includes(line)) found.push(line)
  }
  return found
}

import { printableJson } from '../node/index.ts'

/** What the person, or the program behind the pipe, sees. */
export interface Terminal {
  /** A line of the answer, on standard output. */
  print(line: string): void
  /** The answer for machines: one JSON value, on standard output. */
  printJson(value: unknown): void
  /** A line beside the answer, on standard error. */
  note(line: string): void
  /** What is going on right now, on standard error, overwritten by the next; nothing where that is no terminal. */
  progress(line: string): void
}

export function createTerminal(): Terminal {
  surviveClosedOutput()
  const live = process.stderr.isTTY === true
  let shown = false
  const clear = (): void => {
    if (shown) process.stderr.write('\r\u001b[2K')
    shown = false
  }
  return {
    print(line) {
      clear()
      process.stdout.write(`${line}\n`)
    },
    printJson(value) {
      clear()
      process.stdout.write(`${printableJson(value, 2)}\n`)
    },
    note(line) {
      clear()
      process.stderr.write(`${line}\n`)
    },
    progress(line) {
      if (!live) return
      clear()
      process.stderr.write(line.slice(0, Math.max(20, (process.stderr.columns || 80) - 1)))
      shown = line !== ''
    },
  }
}

/**
 * Whoever reads may have had enough (`| head`), which is no fault; an output that cannot be written is one, and is told
 * in a line.
 */
export function surviveClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0)
      process.stderr.write(`error (${error.code}): the output cannot be written: ${error.message}\n`)
      process.exit(1)
    })
  }
}

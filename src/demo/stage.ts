/** Where the demo shows what is going on: standard error, and nothing that is not JSON on standard output. */
export interface Stage {
  /** What happens right now; replaced by the next. A terminal shows it in place; elsewhere each is a line. */
  show(line: string): void
  /** Something worth keeping. */
  tell(line: string): void
}

export function createStage(quiet: boolean): Stage {
  const { stderr } = process
  if (quiet && !stderr.isTTY) return { show() {}, tell() {} }
  let shown = ''
  const clear = (): void => {
    if (stderr.isTTY && shown !== '') stderr.write('\r\u001b[2K')
  }
  return {
    show(line) {
      if (line === shown) return
      clear()
      shown = line
      if (line === '') return
      stderr.write(stderr.isTTY ? line.slice(0, Math.max(20, (stderr.columns || 80) - 1)) : `${line}\n`)
    },
    tell(line) {
      clear()
      shown = ''
      stderr.write(`${line}\n`)
    },
  }
}

/** Whoever reads may have had enough (`| head`): the demo goes on without saying more, and ends its processes. */
export function surviveClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

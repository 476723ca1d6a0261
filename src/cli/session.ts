import { connectControl } from '../control/index.ts'
import {
  createLog,
  createNode,
  type DescribedModel,
  type DescribeOptions,
  type JobResult,
  type ProbeRequest,
  printable,
  type SubmitRequest,
} from '../node/index.ts'
import type { Terminal } from './terminal.ts'
import { canaryLines, recheckLine } from './verdict.ts'

/** A way to ask the mesh: through the running node, or through one that lives as long as the command. */
export interface Session {
  readonly via: 'running-node' | 'short-lived-node'
  describe(cid: string, signal?: AbortSignal, options?: DescribeOptions): Promise<DescribedModel>
  submit(request: SubmitRequest): Promise<JobResult>
  probe(request: ProbeRequest): Promise<JobResult>
  /** Bootstraps that do not answer, each with the reason. */
  unreachable(): readonly string[]
  /**
   * After the person has what was asked for: does what a short-lived node put off, for no longer than the command's own jobs
   * may take. A running node does that by itself. Ends when `signal` fires.
   */
  finish(options: { readonly timeout: number }, signal?: AbortSignal): Promise<void>
  close(): Promise<void>
}

/**
 * Uses the node that runs on the data directory; else starts one that knows `bootstrap`, the remembered peers and,
 * with `mdns`, whoever answers on the local network, and that leaves again with `close`.
 */
export async function openSession(options: {
  data: string
  bootstrap: readonly string[]
  mdns: boolean
  verbose: boolean
  terminal: Terminal
}): Promise<Session> {
  const running = options.bootstrap.length === 0 ? await connectControl(options.data) : undefined
  if (running !== undefined) {
    return {
      via: 'running-node',
      describe: (cid, signal, options) => running.describe(cid, signal, options),
      submit: (request) => running.submit(request),
      probe: (request) => running.probe(request),
      unreachable: () => [],
      finish: async () => {},
      close: async () => {},
    }
  }
  const node = await createNode({
    dataDirectory: options.data,
    ephemeral: true,
    listen: [],
    bootstrap: options.bootstrap,
    mdns: options.mdns,
    onRecheck: (recheck) => options.terminal.note(recheckLine(recheck)),
    onCanary: (report) => {
      for (const line of canaryLines(report)) options.terminal.note(line)
    },
    log: createLog({
      level: options.verbose ? 'debug' : 'error',
      json: false,
      write: (line) => options.terminal.note(line),
    }),
  })
  return {
    via: 'short-lived-node',
    describe: (cid, signal, options) => node.describe(cid, signal, options),
    submit: (request) => node.submit(request),
    probe: (request) => node.probe(request),
    unreachable: () =>
      node
        .status()
        .bootstrap.filter(({ connected }) => !connected)
        .map(({ multiaddr, error }) => `${multiaddr}${error === undefined ? '' : `: ${error}`}`),
    finish: async ({ timeout }, signal) => {
      const late = AbortSignal.timeout(timeout * 1000)
      const { rechecks } = await node.idle({
        signal: signal === undefined ? late : AbortSignal.any([signal, late]),
        onWaiting: ({ canaries, rechecks }) =>
          options.terminal.progress(
            rechecks === 0
              ? `waiting for ${canaries} canaries ...`
              : `${rechecks} earlier answers rest on keys that were exposed since: checking them again ...`,
          ),
      })
      options.terminal.progress('')
      if (rechecks > 0)
        options.terminal.note(
          `${rechecks} earlier answers are still to be checked again: the next command goes on`,
        )
    },
    close: () => node.stop({ drainMs: 0 }),
  }
}

/** Tells of bootstraps that did not answer: often the reason why something else failed, or was answered by others. */
export function noteUnreachable(session: Session, terminal: Terminal): void {
  for (const bootstrap of session.unreachable())
    terminal.note(`bootstrap not reachable: ${printable(bootstrap)}`)
}

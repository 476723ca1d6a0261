import type { Command } from 'commander'
import { type ControlClient, ControlError, connectControl } from '../control/index.ts'
import { type NodeStatus, printable } from '../node/index.ts'
import type { CommonOptions } from './options.ts'
import { table } from './table.ts'
import type { Terminal } from './terminal.ts'

export function addStatusCommand(program: Command, terminal: Terminal, dataDirectory: string): void {
  program
    .command('status')
    .description('what the node that runs on this machine is doing')
    .option('--data <dir>', 'its data directory', dataDirectory)
    .option('--json', 'print one JSON object', false)
    .action(async ({ data, json }: CommonOptions) => {
      const status = await (await runningNode(data)).status()
      if (json) terminal.printJson(status)
      else for (const line of statusLines(status)) terminal.print(printable(line))
    })
}

async function runningNode(data: string): Promise<ControlClient> {
  const client = await connectControl(data)
  if (client !== undefined) return client
  throw new ControlError(
    'not-running',
    `no node runs on ${data}. Start one with: verimesh start (or point to its directory with --data)`,
  )
}

function statusLines(status: NodeStatus): string[] {
  const { jobs, models, bootstrap } = status
  const lines = [
    `verimesh ${status.version}, up ${duration(status.uptimeMs)}`,
    `peer id      ${status.peerId}`,
    ...status.multiaddrs.map((address, index) => `${index === 0 ? 'listens on' : '          '}   ${address}`),
    `connections  ${status.connections}`,
    `own jobs     ${jobs.running} running, ${jobs.settled} answered, ${jobs.failed} failed`,
  ]
  if (models.length > 0) lines.push(...standingLines(status))
  for (const { multiaddr, connected, error } of bootstrap) {
    lines.push(
      `bootstrap    ${multiaddr}  ${connected ? 'connected' : `not reachable, still trying${error ? `: ${error}` : ''}`}`,
    )
  }
  if (models.length === 0) return [...lines, 'provides     nothing: verimesh start --model NAME']
  const rows = models.map(({ name, lane, state, running, queued, served, refused, serviceMs, cid }) => [
    name,
    lane,
    state,
    `${running} running, ${queued} waiting`,
    `${served} served, ${refused} refused`,
    served === 0 ? '-' : `${serviceMs.toFixed(1)} ms`,
    cid,
  ])
  return [...lines, '', ...table(['model', 'lane', 'state', 'now', 'so far', 'a run takes', 'address'], rows)]
}

/** What a volunteer can know of its own standing: others keep to themselves what they have seen, and nobody need believe it. */
function standingLines({ standing: { condemned, traced, untraced, untraceable } }: NodeStatus): string[] {
  if (condemned) {
    return ['standing     condemned: a proof of fraud against this key is known; see verimesh fraud list']
  }
  const disputes = traced + untraced
  const what =
    disputes === 0
      ? 'none of its answers was disputed'
      : `${disputes} of its answers were disputed: ${traced} traced, ${untraced} could not be`
  return [
    `standing     no proof against this key is known here; ${what}`,
    ...untraceable.map(
      ({ name, reason }) => `             answers of ${name} would not survive a dispute: ${reason}`,
    ),
    '             what another node makes of it, that node tells: verimesh peers PEERID there',
  ]
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  return `${parts[0]} h ${parts[1]} min ${parts[2]} s`
}

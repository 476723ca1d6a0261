import { parseArgs } from 'node:util'
import { hasUndici } from './targets/http.ts'
import { HTTP_CLIENT_NAMES, type HttpClientName } from './targets/target.ts'
import { WORKLOAD_NAMES, type WorkloadName } from './workloads.ts'

export type TargetName = (typeof TARGET_NAMES)[number]

/** In the order of the table. */
export const TARGET_NAMES = ['direct', 'http', 'https', 'mesh-1', 'mesh-3'] as const

export interface BenchOptions {
  readonly rounds: number
  /** Of one measuring window. */
  readonly seconds: number
  readonly workloads: readonly WorkloadName[]
  readonly targets: readonly TargetName[]
  readonly concurrency: readonly number[]
  /** onnxruntime's intra-op threads, the same for every target. */
  readonly threads: number
  readonly httpClient: HttpClientName
  readonly json: boolean
  readonly markdown: boolean
  /** File name, without `.json`, of the results. Nothing is written when it is empty. */
  readonly name: string
  /** Directory for CPU profiles of all processes. */
  readonly profile: string | undefined
}

export const HELP = `npm run bench -- [OPTIONS]

Measures a model called directly, behind HTTP, behind HTTPS, and over the mesh, side by side.

  --rounds N              interleaved rounds (default 5)
  --seconds S             length of one measuring window (default 2)
  --quick                 2 rounds of half a second, to see whether it works
  --only A,B              workloads: ${WORKLOAD_NAMES.join(', ')}
  --targets A,B           ${TARGET_NAMES.join(', ')}
  --concurrency A,B       callers at once (default 1,8,32)
  --threads N             threads of each model (default 1)
  --http-client NAME      undici (default), node or fetch
  --name NAME             write bench/results/NAME.json (default: latest); --name "" writes nothing
  --json                  print the results as JSON
  --markdown              print the table as Markdown
  --profile DIR           write CPU profiles of all processes to DIR and print where the time went
`

/** Throws an Error with a message for people where an option makes no sense. Undefined: help was asked for. */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      targets: { type: 'string' },
      concurrency: { type: 'string', default: '1,8,32' },
      threads: { type: 'string', default: '1' },
      'http-client': { type: 'string', default: hasUndici() ? 'undici' : 'node' },
      name: { type: 'string', default: 'latest' },
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return undefined
  const [httpClient] = choose('--http-client', values['http-client'], HTTP_CLIENT_NAMES)
  if (httpClient === undefined) throw new Error('--http-client is missing')
  if (!/^[\w.-]*$/.test(values.name))
    throw new Error('--name is a file name of letters, digits, ".", "-", "_"')
  return {
    rounds: positive('--rounds', values.rounds ?? (values.quick ? '2' : '5'), true),
    seconds: positive('--seconds', values.seconds ?? (values.quick ? '0.5' : '2'), false),
    workloads: choose('--only', values.only, WORKLOAD_NAMES),
    targets: choose('--targets', values.targets, TARGET_NAMES),
    concurrency: values.concurrency.split(',').map((text) => positive('--concurrency', text, true)),
    threads: positive('--threads', values.threads, true),
    httpClient,
    json: values.json,
    markdown: values.markdown,
    name: values.name,
    profile: values.profile,
  }
}

function positive(option: string, text: string, whole: boolean): number {
  const value = Number(text)
  if (!(value > 0) || !Number.isFinite(value) || (whole && !Number.isInteger(value))) {
    throw new Error(`${option} must be a ${whole ? 'whole ' : ''}number above 0, not "${text}"`)
  }
  return value
}

function choose<Name extends string>(
  option: string,
  text: string | undefined,
  names: readonly Name[],
): readonly Name[] {
  if (text === undefined) return names
  const wanted = text.split(',')
  for (const name of wanted) {
    if (!names.some((known) => known === name)) {
      throw new Error(`${option}: unknown "${name}"; known are ${names.join(', ')}`)
    }
  }
  return names.filter((name) => wanted.includes(name))
}

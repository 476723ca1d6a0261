import { parseArgs } from 'node:util'

export interface DemoArguments {
  readonly json: boolean
  /** Path of an image; undefined for the page that ships with the demo. */
  readonly page: string | undefined
  /** Provider processes, bootstrap and liars included. */
  readonly providers: number
  readonly liars: number
  /** Find the lines here, without the mesh: only their recognition is asked of it. */
  readonly recognizeOnly: boolean
}

export const DEMO_HELP = `Reads the text of a page with a mesh of processes on this machine, one of which lies.

  npm run demo                        five providers, one of them a liar
  npm run demo -- --liars 2           two liars, each in its own way
  npm run demo -- --page FILE         another image (PNG, JPEG, WebP)

  --providers N      provider processes, bootstrap and liars included (default 5)
  --liars N          how many of them lie (default 1)
  --recognize-only   find the lines here; only reading them is asked of the mesh
  --json             print one JSON object instead
`

/** How many providers each job is asked of. */
export const DEMO_REPLICAS = 3
/** More processes than this only wait for each other on one machine. */
const PROVIDERS_MAX = 32

/** Throws ArgumentsError, whose message is for the person. */
export function parseDemoArguments(args: readonly string[]): DemoArguments | 'help' {
  const { values } = parse(args)
  if (values.help) return 'help'
  const providers = count('--providers', values.providers, 5)
  const liars = count('--liars', values.liars, 1)
  if (providers < DEMO_REPLICAS || providers > PROVIDERS_MAX) {
    throw new ArgumentsError(
      `--providers must be from ${DEMO_REPLICAS} (each job is asked of so many) to ${PROVIDERS_MAX}; got ${providers}`,
    )
  }
  if (liars >= providers) {
    throw new ArgumentsError(
      `--liars must be fewer than the ${providers} providers: the bootstrap is honest; got ${liars}`,
    )
  }
  return {
    json: values.json,
    page: values.page,
    providers,
    liars,
    recognizeOnly: values['recognize-only'],
  }
}

export class ArgumentsError extends Error {
  override readonly name = 'ArgumentsError'
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        page: { type: 'string' },
        providers: { type: 'string' },
        liars: { type: 'string' },
        'recognize-only': { type: 'boolean', default: false },
      },
    })
  } catch (cause) {
    throw new ArgumentsError((cause as Error).message, { cause })
  }
}

function count(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new ArgumentsError(`${option} must be a whole number; got "${text}"`)
  return value
}

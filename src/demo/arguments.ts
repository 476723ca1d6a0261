import { parseArgs } from 'node:util'

export interface DemoArguments {
  readonly json: boolean
  /** Path of an image; undefined for the page that ships with the demo. */
  readonly page: string | undefined
  /** Provider processes, bootstrap and liars included. */
  readonly providers: number
  readonly liars: number
  /** Of the providers, how many lie together and alike; they are not among `liars`. */
  readonly colluders: number
  /** Share of accepted answers that the requester computes again itself. */
  readonly recompute: number
  /** Find the lines here, without the mesh: only their recognition is asked of it. */
  readonly recognizeOnly: boolean
}

export const DEMO_HELP = `Reads the text of a page with a mesh of processes on this machine, one of which lies.

  npm run demo                        five providers, one of them a liar
  npm run demo -- --liars 4           four liars of five, each in its own way, and in their traces too
  npm run demo -- --colluders 2       two more who tell the same lie: counting cannot see it
  npm run demo -- --page FILE         another image (PNG, JPEG, WebP)

  --providers N      provider processes, bootstrap and liars included (default 5)
  --liars N          how many of them lie (default 1)
  --colluders N      how many tell the same lie as each other (default 0)
  --recompute RATE   share of answers, 0 to 1, that the requester computes again itself (default 0)
  --recognize-only   find the lines here; only reading them is asked of the mesh
  --json             print one JSON object instead
`

/** How many providers each job is asked of: what they disagree about, a referee decides. */
export const DEMO_REPLICAS = 2
/** More processes than this only wait for each other on one machine. */
const PROVIDERS_MAX = 32

/** Throws ArgumentsError, whose message is for the person. */
export function parseDemoArguments(args: readonly string[]): DemoArguments | 'help' {
  const { values } = parse(args)
  if (values.help) return 'help'
  const providers = count('--providers', values.providers, 5)
  if (providers < DEMO_REPLICAS || providers > PROVIDERS_MAX) {
    throw new ArgumentsError(
      `--providers must be from ${DEMO_REPLICAS} (each job is asked of so many) to ${PROVIDERS_MAX}; got ${providers}`,
    )
  }
  const colluders = count('--colluders', values.colluders, 0)
  // Without a word about liars, those who collude are the only ones.
  const liars = count('--liars', values.liars, colluders > 0 ? 0 : 1)
  if (liars + colluders >= providers) {
    throw new ArgumentsError(
      `--liars and --colluders must be fewer than the ${providers} providers: the bootstrap is honest; got ${liars + colluders}`,
    )
  }
  const recompute = Number(values.recompute ?? 0)
  if (!(recompute >= 0 && recompute <= 1)) {
    throw new ArgumentsError(`--recompute must be a number from 0 to 1; got "${values.recompute}"`)
  }
  return {
    json: values.json,
    page: values.page,
    providers,
    liars,
    colluders,
    recompute,
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
        colluders: { type: 'string' },
        recompute: { type: 'string' },
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

import { readFileSync } from 'node:fs'

/** Version of this package, from its package.json: two levels up in a checkout, three in the compiled package. */
export const VERSION: string = readVersion()

function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as Record<
        string,
        string
      >
      if (name === 'verimesh' && version !== undefined) return version
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  return 'unknown'
}

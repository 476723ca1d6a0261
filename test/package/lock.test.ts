/** package-lock.json, which decides whether `npm ci` works on a machine that reaches nothing but a registry. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

interface Entry {
  readonly version?: string
  readonly hasInstallScript?: boolean
  readonly resolved?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const root = join(import.meta.dirname, '../..')
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Readonly<Record<string, Entry>>
}
const dependencies = Object.entries(packages).filter(([path]) => path !== '')

test('no dependency runs a script when it is installed', () => {
  assert.equal(
    dependencies.filter(([, entry]) => entry.hasInstallScript).map(([path]) => path),
    [],
  )
})

test('every dependency has a version and an entry, those of other platforms too', () => {
  for (const [path, entry] of dependencies) assert.ok(entry.version, path)
  const absent = Object.entries(packages).flatMap(([path, entry]) =>
    Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })
      .filter((name) => !isListed(name, path))
      .map((name) => `${name} of ${path}`),
  )
  assert.equal(absent, [])
})

test('no dependency is tied to one registry', () => {
  assert.equal(
    dependencies.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path),
    [],
  )
})

/** As Node resolves: beside the dependent, then beside each of its parents. */
function isListed(name: string, dependent: string): boolean {
  for (let base = dependent; ; base = base.slice(0, Math.max(0, base.lastIndexOf('node_modules/') - 1))) {
    if (packages[`${base === '' ? '' : `${base}/`}node_modules/${name}`] !== undefined) return true
    if (base === '') return false
  }
}

test.run()

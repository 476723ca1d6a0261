/** What keeps an installation from failing where a dependency's download cannot be had. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const DOWNLOAD = "console.log('downloads')\n"
const NPM = { npm_config_user_agent: 'npm/10.9.9 node/v20.20.2 linux x64' }

const preinstall = suite<{ root: string }>('preinstall')

preinstall.before.each((context) => {
  context.root = mkdtempSync(join(tmpdir(), 'verimesh-preinstall-'))
})

preinstall.after.each((context) => rmSync(context.root, { recursive: true }))

preinstall('makes the download of onnxruntime-node ask first', ({ root }) => {
  const download = install(root, 'node_modules/verimesh', { ...NPM, npm_config_global: 'true' })
  assert.equal(runs(download, {}), '')
  assert.equal(runs(download, { ONNXRUNTIME_NODE_INSTALL: 'cuda12' }), 'downloads\n')
  assert.equal(runs(download, { npm_config_onnxruntime_node_install: 'cuda12' }), 'downloads\n')
})

preinstall('changes it once', ({ root }) => {
  const download = install(root, 'node_modules/verimesh', NPM)
  const once = readFileSync(download, 'utf8')
  run(root, 'node_modules/verimesh', NPM)
  assert.equal(readFileSync(download, 'utf8'), once)
})

preinstall('leaves a project alone that depends on onnxruntime-node itself', ({ root }) => {
  writeFileSync(join(root, 'package.json'), '{ "dependencies": { "onnxruntime-node": "1.30.0" } }')
  assert.equal(readFileSync(install(root, 'node_modules/verimesh', NPM), 'utf8'), DOWNLOAD)
})

preinstall('leaves other package managers alone', ({ root }) => {
  const download = install(root, 'node_modules/verimesh', {
    npm_config_user_agent: 'pnpm/9.0.0 npm/? node/v20.20.2',
  })
  assert.equal(readFileSync(download, 'utf8'), DOWNLOAD)
})

preinstall('leaves a checkout alone', ({ root }) => {
  assert.equal(readFileSync(install(root, 'checkout', NPM), 'utf8'), DOWNLOAD)
})

preinstall('lets the installation go on where there is nothing to change', ({ root }) => {
  const download = install(root, 'node_modules/verimesh', NPM)
  rmSync(join(download, '../../..'), { recursive: true })
  assert.match(
    run(root, 'node_modules/verimesh', NPM),
    'could not make the downloads of onnxruntime-node optional',
  )
})

/** Lays a package out, runs its script, and gives the path of the dependency's own script. */
function install(root: string, place: string, env: Record<string, string>): string {
  const home = join(root, place)
  const scripts = join(home, 'node_modules/onnxruntime-node/script')
  mkdirSync(join(home, 'src/cli'), { recursive: true })
  mkdirSync(scripts, { recursive: true })
  cpSync(join(import.meta.dirname, '../../src/cli/preinstall.js'), join(home, 'src/cli/preinstall.js'))
  writeFileSync(join(home, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(scripts, '../package.json'), '{ "name": "onnxruntime-node" }')
  writeFileSync(join(scripts, 'install.js'), DOWNLOAD)
  run(root, place, env)
  return join(scripts, 'install.js')
}

/** Gives what it said. It never fails. */
function run(root: string, place: string, env: Record<string, string>): string {
  const { status, stderr } = spawnSync(process.execPath, [join(root, place, 'src/cli/preinstall.js')], {
    env: { npm_config_local_prefix: root, ...env },
    encoding: 'utf8',
  })
  assert.is(status, 0, stderr)
  return stderr
}

function runs(download: string, env: Record<string, string>): string {
  return spawnSync(process.execPath, [download], { env, encoding: 'utf8' }).stdout
}

preinstall.run()

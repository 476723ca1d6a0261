/** The style of the house, enforced: which way the arrows point, which files may touch the world, what a file may hold. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const root = resolve(import.meta.dirname, '..')
const HOUSE = ['models', 'protocols', 'peers', 'src']

/** Files and folders that may touch sockets, disk, clocks, timers, randomness or `process`. Everything else is pure. */
const EDGES = [
  'models/source/',
  'models/store/',
  // A model's process, and the system underneath it; the supervisor that decides about it is pure.
  'models/runtime/engine.ts',
  'models/runtime/exact-in-process.ts',
  'models/runtime/exact-loader.ts',
  'models/runtime/host-channel.ts',
  'models/runtime/host-loop.ts',
  'models/runtime/host-process.ts',
  'models/runtime/instruction-set.ts',
  'models/runtime/native.ts',
  'models/runtime/slab.ts',
  'models/runtime/wasm-engine.ts',
  'models/task/image.ts',
  'protocols/dispute/client.ts',
  'protocols/dispute/server.ts',
  'protocols/framing/',
  'protocols/fraud/exchange.ts',
  'protocols/inference/',
  'protocols/model-files/',
  'protocols/open-call/delivery.ts',
  'peers/announcements/',
  'peers/clock/',
  'peers/discovery/',
  'peers/files/',
  'peers/fraud/store.ts',
  'peers/host/',
  'peers/identity/',
  'peers/mesh/',
  'peers/reputation/store/',
  'peers/open-calls/service.ts',
  'peers/snapshot/',
  'src/node/',
  'src/control/',
  'src/demo/',
  'src/cli/',
  'src/package/',
]

/** Inside src: what each room may import from its siblings. */
const SRC_ARROWS: Record<string, readonly string[]> = {
  verification: [],
  routing: [],
  requester: ['verification', 'routing'],
  provider: ['verification', 'routing'],
  node: ['verification', 'routing', 'requester', 'provider'],
  control: ['verification', 'routing', 'requester', 'provider', 'node'],
  cli: ['verification', 'routing', 'requester', 'provider', 'node', 'control', 'simulator'],
  package: [],
  adversary: ['verification', 'routing', 'requester', 'provider'],
  simulator: ['verification', 'routing', 'requester', 'provider', 'adversary'],
  demo: ['verification', 'routing', 'requester', 'provider', 'node', 'control', 'adversary', 'cli'],
}

/** Signs that a file touches the world. */
const WORLD: readonly [RegExp, string][] = [
  [/\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, 'reads the clock'],
  [/\bset(Timeout|Interval|Immediate)\(|AbortSignal\.timeout\(/, 'sets a timer'],
  [/\bMath\.random\(|\brandom(Bytes|UUID|Int|FillSync)\b|getRandomValues/, 'draws randomness'],
  [
    /(?<![.\w])process\.(argv|env|cwd|exit|kill|std|on|once|pid|platform|arch|hrtime|nextTick|memory|getuid|version)/,
    'uses process',
  ],
  [
    /from 'node:(fs|net|http|https|child_process|os|dgram|tls|worker_threads|timers|sqlite)/,
    'imports an edge of Node',
  ],
  [/\bconsole\./, 'writes to the console'],
]

interface Source {
  readonly path: string
  readonly text: string
  /** Without comments, so that a comment may speak of anything. */
  readonly code: string
}

const sources: Source[] = HOUSE.flatMap((folder) => list(join(root, folder))).map((path) => {
  const text = readFileSync(path, 'utf8')
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  return { path: relative(root, path), text, code }
})

test('finds the house', () => {
  assert.ok(sources.length > 50, `only ${sources.length} files`)
})

test('each folder imports only from those to its left', () => {
  const wrong: string[] = []
  for (const source of sources) {
    for (const target of imports(source)) {
      const from = source.path.split('/')[0]!
      const to = target.split('/')[0]!
      if (!HOUSE.includes(to) || HOUSE.indexOf(to) > HOUSE.indexOf(from))
        wrong.push(`${source.path} -> ${target}`)
    }
  }
  assert.equal(wrong, [])
})

test('the rooms of src import only along their arrows', () => {
  const wrong: string[] = []
  for (const source of sources) {
    const [top, from] = source.path.split('/')
    if (top !== 'src' || source.path === 'src/index.ts') continue
    for (const target of imports(source)) {
      const [, to] = target.split('/')
      if (!target.startsWith('src/') || to === from) continue
      if (!SRC_ARROWS[from!]?.includes(to!)) wrong.push(`${source.path} -> ${target}`)
    }
  }
  assert.equal(wrong, [])
})

test('a room is entered by its index', () => {
  const wrong: string[] = []
  for (const source of sources) {
    for (const target of imports(source)) {
      if (room(source.path) === room(target)) continue
      if (!target.endsWith('/index.ts')) wrong.push(`${source.path} -> ${target}`)
    }
  }
  assert.equal(wrong, [])
})

test('nothing but the demo, the simulator and the tests reaches the adversary', () => {
  const wrong = sources
    .filter(({ path }) => !/^src\/(adversary|demo|simulator)\//.test(path))
    .filter((source) => imports(source).some((target) => target.startsWith('src/adversary/')))
  assert.equal(
    wrong.map(({ path }) => path),
    [],
  )
})

test('only edges touch the world', () => {
  const wrong: string[] = []
  for (const { path, code } of sources) {
    if (EDGES.some((edge) => path.startsWith(edge))) continue
    for (const [sign, what] of WORLD) if (sign.test(code)) wrong.push(`${path} ${what}`)
  }
  assert.equal(wrong, [])
})

test('every edge on the list exists', () => {
  const gone = EDGES.filter((edge) => !sources.some(({ path }) => path.startsWith(edge)))
  assert.equal(gone, [])
})

test('no file re-exports everything, none is called after nothing, none holds what stripping cannot', () => {
  const wrong: string[] = []
  for (const { path, code } of sources) {
    if (/^export \* from/m.test(code)) wrong.push(`${path}: export *`)
    if (/(^|\/)(utils?|helpers?|common|misc|manager)(\.ts|\/)/.test(path)) wrong.push(`${path}: says nothing`)
    if (!/^[a-z0-9./-]+$/.test(path)) wrong.push(`${path}: not kebab-case`)
    if (/^\s*(export )?(const )?enum |^\s*(export )?namespace /m.test(code))
      wrong.push(`${path}: enum or namespace`)
    if (/catch\s*(\(\w*\))?\s*\{\s*\}/.test(code)) wrong.push(`${path}: swallows an error`)
  }
  assert.equal(wrong, [])
})

test('every protocol has its specification', () => {
  const protocols = ['inference', 'announcement', 'receipt', 'model-files', 'dispute', 'fraud', 'open-call']
  for (const name of protocols) {
    const text = readFileSync(join(root, 'protocols', name, 'README.md'), 'utf8')
    for (const heading of [
      'Participants',
      'Goals',
      'Non-goals',
      'Messages',
      'Limits',
      'Errors',
      'Security',
    ]) {
      assert.match(text, new RegExp(`^##+ .*${heading}`, 'mi'), `${name}: ${heading}`)
    }
  }
})

test.run()

function list(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes('/generated/'))
}

/** Paths, from the root, of what a file imports from the house. */
function imports({ path, code }: Source): string[] {
  const found = code.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)
  return [...found]
    .map(([, target]) => relative(root, resolve(root, dirname(path), target!)))
    .filter((target) => target.endsWith('.ts'))
}

/** The room a file lies in: `models/tensor`, `src/node`, or `src` itself. */
function room(path: string): string {
  return path.split('/').slice(0, -1).slice(0, 2).join('/')
}

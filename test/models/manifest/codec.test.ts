import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  decodeManifest,
  encodeManifest,
  isModelPath,
  MANIFEST_BYTES_MAX,
  type Manifest,
  ManifestError,
  type ManifestErrorCode,
} from '../../../models/manifest/index.ts'

const CID = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

const MANIFEST: Manifest = {
  verimesh: 1,
  name: 'tiny',
  license: 'Apache-2.0',
  model: 'model.onnx',
  files: [
    { path: 'data/words.txt', bytes: 12, sha256: SHA256 },
    { path: 'model.onnx', bytes: 3, sha256: SHA256 },
  ],
  signature: {
    inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', 3] }],
    outputs: [{ name: 'y', dtype: 'float32', dims: [] }],
  },
  lanes: ['native'],
  tolerance: { tau: 5e-5 },
  batching: { independent: true },
  task: {
    kind: 'ocr',
    files: ['data/words.txt'],
    companions: { recognition: CID },
    parameters: { mean: [0.5, 0.5], size: 960, upright: true, mode: 'fast' },
  },
}

// The one byte form, which is part of a model's address.
const GOLDEN = `{
  "batching": {
    "independent": true
  },
  "files": [
    {
      "bytes": 12,
      "path": "data/words.txt",
      "sha256": "${SHA256}"
    },
    {
      "bytes": 3,
      "path": "model.onnx",
      "sha256": "${SHA256}"
    }
  ],
  "lanes": [
    "native"
  ],
  "license": "Apache-2.0",
  "model": "model.onnx",
  "name": "tiny",
  "signature": {
    "inputs": [
      {
        "dims": [
          "batch",
          3
        ],
        "dtype": "float32",
        "name": "x"
      }
    ],
    "outputs": [
      {
        "dims": [],
        "dtype": "float32",
        "name": "y"
      }
    ]
  },
  "task": {
    "companions": {
      "recognition": "${CID}"
    },
    "files": [
      "data/words.txt"
    ],
    "kind": "ocr",
    "parameters": {
      "mean": [
        0.5,
        0.5
      ],
      "mode": "fast",
      "size": 960,
      "upright": true
    }
  },
  "tolerance": {
    "tau": 0.00005
  },
  "verimesh": 1
}
`

test('has the golden bytes and comes back', () => {
  assert.is(Buffer.from(encodeManifest(MANIFEST)).toString(), GOLDEN)
  assert.equal(decodeManifest(Buffer.from(GOLDEN)), MANIFEST)
})

test('states a plan exactly where there is an exact lane', () => {
  const plan = { version: 1, root: SHA256 } as const
  const manifest: Manifest = { ...MANIFEST, lanes: ['native', 'exact'], plan }
  const golden = GOLDEN.replace('"lanes": [\n    "native"', '"lanes": [\n    "native",\n    "exact"').replace(
    '  "signature"',
    `  "plan": {\n    "root": "${SHA256}",\n    "version": 1\n  },\n  "signature"`,
  )
  assert.is(Buffer.from(encodeManifest(manifest)).toString(), golden)
  assert.equal(decodeManifest(Buffer.from(golden)), manifest)
  assert.equal(decodeManifest(encodeManifest({ ...manifest, lanes: ['exact'] })).lanes, ['exact'])
  const { plan: _plan, ...planless } = manifest
  const wrong: Record<string, unknown> = {
    'an exact lane without a plan': planless,
    'a plan without an exact lane': { ...manifest, lanes: ['native'] },
    'a plan of another version': { ...manifest, plan: { ...plan, version: 2 } },
    'a root in upper case': { ...manifest, plan: { ...plan, root: SHA256.toUpperCase() } },
    'a root cut short': { ...manifest, plan: { ...plan, root: SHA256.slice(1) } },
    'a plan with more in it': { ...manifest, plan: { ...plan, steps: 3 } },
    'a plan without a root': { ...manifest, plan: { version: 1 } },
  }
  for (const [what, draft] of Object.entries(wrong)) {
    refuses(() => encodeManifest(draft as Manifest), 'malformed-manifest', what)
  }
})

test('leaves out what is undefined', () => {
  const { license: _license, task: _task, ...rest } = MANIFEST
  const sparse = { ...rest, license: undefined, task: undefined } as unknown as Manifest
  assert.equal(decodeManifest(encodeManifest(sparse)), rest)
})

test('refuses every byte form but the canonical one', () => {
  const forms = {
    'no newline at the end': GOLDEN.trimEnd(),
    'another newline': `${GOLDEN}\n`,
    'no indentation': `${JSON.stringify(JSON.parse(GOLDEN))}\n`,
    'a number written otherwise': GOLDEN.replace('0.00005', '5e-5'),
    'a needless escape': GOLDEN.replace('"tiny"', '"\\u0074iny"'),
    'a key twice': GOLDEN.replace('"name": "tiny"', '"name": "other",\n  "name": "tiny"'),
    'keys in another order': `${JSON.stringify(MANIFEST, null, 2)}\n`,
  }
  for (const [what, text] of Object.entries(forms)) {
    refuses(() => decodeManifest(Buffer.from(text)), 'not-canonical', what)
  }
  refuses(() => decodeManifest(Buffer.from(`\ufeff${GOLDEN}`)), 'malformed-manifest', 'a byte order mark')
})

test('never decodes a changed byte to the same manifest, and never crashes', () => {
  const bytes = Buffer.from(GOLDEN)
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const mutant = Buffer.from(bytes)
      mutant[at] = mutant[at]! ^ change
      try {
        assert.not.equal(decodeManifest(mutant), MANIFEST)
      } catch (error) {
        if (!(error instanceof ManifestError)) throw error
      }
    }),
    { numRuns: 2000 },
  )
})

const CHANGES: readonly [string, (manifest: Draft) => void][] = [
  ['another version', (m) => set(m, 'verimesh', 2)],
  ['an unknown field', (m) => set(m, 'extra', 1)],
  ['an unknown inner field', (m) => set(m, 'batching', { independent: true, most: 4 })],
  ['no name', (m) => remove(m, 'name')],
  ['an empty name', (m) => set(m, 'name', '')],
  ['a name with a newline', (m) => set(m, 'name', 'a\nb')],
  ['a license that is no SPDX expression', (m) => set(m, 'license', 'see <b>here</b>')],
  ['a model that is not among the files', (m) => set(m, 'model', 'other.onnx')],
  ['no lanes', (m) => set(m, 'lanes', [])],
  ['an unknown lane', (m) => set(m, 'lanes', ['fast'])],
  ['a lane twice', (m) => set(m, 'lanes', ['native', 'native'])],
  ['lanes in another order', (m) => set(m, 'lanes', ['exact', 'native'])],
  ['a tolerance off the ladder', (m) => set(m, 'tolerance', { tau: 3e-5 })],
  ['a tolerance that admits cheats', (m) => set(m, 'tolerance', { tau: 0.1 })],
  ['a negative tolerance', (m) => set(m, 'tolerance', { tau: -5e-5 })],
  ['a tolerance that is text', (m) => set(m, 'tolerance', { tau: '5e-5' })],
  ['batching that is no boolean', (m) => set(m, 'batching', { independent: 1 })],
  ['no outputs', (m) => set(m, 'signature', { inputs: [], outputs: [] })],
  [
    'an unknown element type',
    (m) => set(m, 'signature', { inputs: [], outputs: [{ name: 'y', dtype: 'text', dims: [] }] }),
  ],
  [
    'a fixed dimension of 0',
    (m) => set(m, 'signature', { inputs: [], outputs: [{ name: 'y', dtype: 'bool', dims: [0] }] }),
  ],
  [
    'a value twice',
    (m) => set(m, 'signature', { inputs: [], outputs: Array(2).fill(MANIFEST.signature.outputs[0]) }),
  ],
  ['files out of order', (m) => set(m, 'files', MANIFEST.files.toReversed())],
  ['a file twice', (m) => set(m, 'files', [MANIFEST.files[0], ...MANIFEST.files])],
  [
    'a digest in upper case',
    (m) => set(m, 'files', [{ ...MANIFEST.files[1], sha256: SHA256.toUpperCase() }]),
  ],
  ['a size that is no number', (m) => set(m, 'files', [{ ...MANIFEST.files[1], bytes: '3' }])],
  ['a task file that is no file', (m) => set(m, 'task', { ...MANIFEST.task, files: ['other'] })],
  ['a companion that is no address', (m) => set(m, 'task', { ...MANIFEST.task, companions: { a: 'ocr' } })],
  ['a parameter that is an object', (m) => set(m, 'task', { ...MANIFEST.task, parameters: { a: {} } })],
  ['a parameter with a bad key', (m) => set(m, 'task', { ...MANIFEST.task, parameters: { '1': 1 } })],
  ['a task without files', (m) => set(m, 'task', { kind: 'ocr', companions: {}, parameters: {} })],
]

for (const [what, change] of CHANGES) {
  test(`refuses ${what}`, () => {
    const draft = structuredClone(MANIFEST) as unknown as Draft
    change(draft)
    refuses(() => encodeManifest(draft as unknown as Manifest), 'malformed-manifest')
  })
}

test('refuses task files above 1 MiB together', () => {
  const files = [
    { path: 'data/words.txt', bytes: 1024 * 1024 + 1, sha256: SHA256 },
    { path: 'model.onnx', bytes: 3, sha256: SHA256 },
  ]
  refuses(() => encodeManifest({ ...MANIFEST, files }), 'malformed-manifest')
})

test('refuses paths that leave the directory, hide or differ in case alone', () => {
  for (const path of [
    '../a',
    '/a',
    'a/../b',
    './a',
    'a//b',
    'a/',
    'a\\b',
    'a\0b',
    'c:a',
    '.git',
    'a/.b',
    '',
    'a'.repeat(256),
  ]) {
    assert.not(isModelPath(path), path)
    const files = [{ path, bytes: 1, sha256: SHA256 }]
    refuses(() => encodeManifest({ ...withoutTask(), files, model: path }), 'malformed-manifest', path)
  }
  for (const path of ['a', 'a/b.c', 'ä/ö', 'onnx/model.onnx_data', 'a b']) assert.ok(isModelPath(path), path)
  const files = ['Model.onnx', 'model.onnx'].map((path) => ({ path, bytes: 1, sha256: SHA256 }))
  refuses(() => encodeManifest({ ...withoutTask(), files }), 'malformed-manifest')
  const itself = ['model.onnx', 'verimesh.json'].map((path) => ({ path, bytes: 1, sha256: SHA256 }))
  refuses(() => encodeManifest({ ...withoutTask(), files: itself }), 'malformed-manifest')
})

test('refuses what is too large or no JSON', () => {
  refuses(() => decodeManifest(new Uint8Array(MANIFEST_BYTES_MAX + 1)), 'manifest-too-large')
  const files = Array.from({ length: 2000 }, (_, index) => ({
    path: `${String(index).padStart(5, '0')}.onnx`,
    bytes: 1,
    sha256: SHA256,
  }))
  refuses(() => encodeManifest({ ...withoutTask(), files, model: '00000.onnx' }), 'manifest-too-large')
  for (const text of ['', '{', 'null', '[]', '1', `${'['.repeat(100_000)}`]) {
    refuses(() => decodeManifest(Buffer.from(text)), 'malformed-manifest', text.slice(0, 9))
  }
  refuses(() => decodeManifest(Uint8Array.of(0x22, 0xff, 0x22)), 'malformed-manifest')
})

type Draft = Record<string, unknown>

function set(draft: Draft, key: string, value: unknown): void {
  draft[key] = value
}

function remove(draft: Draft, key: string): void {
  delete draft[key]
}

function withoutTask(): Manifest {
  const { task: _, ...rest } = MANIFEST
  return rest
}

function refuses(act: () => unknown, code: ManifestErrorCode, which?: string): void {
  assert.throws(act, (error: unknown) => error instanceof ManifestError && error.code === code, which)
}

test.run()

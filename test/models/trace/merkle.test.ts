import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hashLeaf, merklePath, merkleRoot, merkleRootFromPath } from '../../../models/trace/index.ts'

/** The leaves and roots that Certificate Transparency's own tests use (certificate-transparency, merkletree tests). */
const LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
]
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

const hashes = (count: number) =>
  Array.from({ length: count }, (_none, at) => hashLeaf(Uint8Array.of(at, at >> 8)))
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex')

/** RFC 6962, 2.1, word by word. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return createHash('sha256').digest()
  if (leaves.length === 1) return leaves[0]!
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  const [left, right] = [naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split))]
  return createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest()
}

test('roots of none to eight leaves are those of RFC 6962', () => {
  const leaves = LEAVES.map((leaf) => hashLeaf(Buffer.from(leaf, 'hex')))
  for (const [count, root] of ROOTS.entries()) {
    assert.is(hex(merkleRoot(leaves.slice(0, count))), root, `${count} leaves`)
  }
})

test('every leaf of every tree has its path, as long as a naive tree is deep', () => {
  for (let count = 1; count <= 40; count++) {
    const leaves = hashes(count)
    const root = hex(naiveRoot(leaves))
    assert.is(hex(merkleRoot(leaves)), root, `${count} leaves`)
    for (let index = 0; index < count; index++) {
      const path = merklePath(leaves, index)
      assert.ok(path.length <= Math.ceil(Math.log2(count)), `${index} of ${count}`)
      assert.is(hex(merkleRootFromPath(leaves[index]!, index, count, path)), root, `${index} of ${count}`)
    }
  }
})

test('a path leads nowhere from another leaf, index, or with a sibling changed, missing or too many', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 300 }), fc.nat(), fc.nat(), (count, choice, other) => {
      const leaves = hashes(count)
      const root = hex(merkleRoot(leaves))
      const index = choice % count
      const path = merklePath(leaves, index)
      const from = (...[leaf, at, of, along]: Parameters<typeof merkleRootFromPath>) =>
        hex(merkleRootFromPath(leaf, at, of, along))
      const elsewhere = (index + 1 + (other % (count - 1))) % count
      assert.is.not(from(leaves[elsewhere]!, index, count, path), root)
      assert.is.not(from(leaves[index]!, elsewhere, count, path), root)
      assert.is(from(leaves[index]!, index, count, path.slice(1)), undefined)
      assert.is(from(leaves[index]!, index, count, path.slice(0, -1)), undefined)
      assert.is(from(leaves[index]!, index, count, [...path, leaves[0]!]), undefined)
      const changed = path.with(other % path.length, hashLeaf(Uint8Array.of(9, 9, 9)))
      assert.is.not(from(leaves[index]!, index, count, changed), root)
      if (path.length > 1) assert.is.not(from(leaves[index]!, index, count, path.toReversed()), root)
    }),
  )
})

test('no index outside the tree, no broken number, has a path', () => {
  const leaves = hashes(3)
  const path = merklePath(leaves, 0)
  for (const index of [-1, 3, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => merklePath(leaves, index), RangeError)
    assert.is(merkleRootFromPath(leaves[0]!, index, 3, path), undefined, `${index}`)
  }
  for (const count of [0, -1, 2.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    assert.is(merkleRootFromPath(leaves[0]!, 0, count, path), undefined, `${count}`)
  }
  assert.throws(() => merklePath([], 0), RangeError)
})

test('a node cannot pass as a leaf, nor a tree of one for its leaf', () => {
  const [left, right] = hashes(2) as [Uint8Array, Uint8Array]
  const root = hex(merkleRoot([left, right]))
  assert.is.not(hex(hashLeaf(Buffer.concat([left, right]))), root)
  assert.is.not(hex(hashLeaf(left)), hex(left))
  assert.is(hex(merkleRoot([left])), hex(left))
})

test('trees of other counts over the same leaves have other roots', () => {
  const roots = new Set<string | undefined>()
  for (let count = 0; count <= 64; count++) roots.add(hex(merkleRoot(hashes(count))))
  assert.is(roots.size, 65)
  // The last leaf twice is another tree too.
  const three = hashes(3)
  assert.is.not(hex(merkleRoot(three)), hex(merkleRoot([...three, three[2]!])))
})

test.run()

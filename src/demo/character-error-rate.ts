/**
 * How far `actual` is from `expected`: the least number of characters to insert, delete or replace (Levenshtein),
 * divided by the number of expected characters. White space is left out of both, code points count as one character.
 * 0 is equal; above 1 is possible. Of an empty expectation: 0 when `actual` is empty too, else Infinity.
 */
export function characterErrorRate(expected: string, actual: string): number {
  const a = characters(expected)
  const b = characters(actual)
  if (a.length === 0) return b.length === 0 ? 0 : Infinity
  return editDistance(a, b) / a.length
}

function editDistance(a: readonly string[], b: readonly string[]): number {
  // Row by row over the matrix of prefixes (Wagner and Fischer, 1974); only the row above is needed.
  let above = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, above[j]! + 1, row[j - 1]! + 1))
    }
    above = row
  }
  return above[b.length]!
}

function characters(text: string): string[] {
  return [...text.replaceAll(/\s/gu, '')]
}

import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { figure, perCent, powerLabel, tickLabel } from '../../src/simulator/report/figures.ts'
import { spreadApart, thin } from '../../src/simulator/report/marks.ts'
import {
  costScale,
  countScale,
  eitherScale,
  linearScale,
  logitScale,
  logScale,
  type Scale,
  timeScale,
  wideScale,
  zeroLogScale,
} from '../../src/simulator/report/scale.ts'
import { evenly, spread } from '../../src/simulator/report/study.ts'
import { linearTicks, logTicks, minorTicks, roundDown, roundUp } from '../../src/simulator/report/ticks.ts'

const positive = fc.double({ min: 1e-9, max: 1e9, noNaN: true })
const measured = fc.array(positive, { minLength: 1, maxLength: 30 })

/** 1, 2 or 5 times a power of ten. */
function isRound(value: number): boolean {
  const [mantissa] = value.toExponential(9).split('e')
  return [1, 2, 5].includes(Number(mantissa))
}

function ascending(values: readonly number[]): readonly number[] {
  return [...values].sort((a, b) => a - b)
}

/** What any scale owes to the values that it was made for. */
function checkScale(scale: Scale, values: readonly number[]): void {
  const fractions = ascending(values).map(scale.fraction)
  fractions.forEach((fraction, index) => {
    assert.ok(fraction >= -1e-9 && fraction <= 1 + 1e-9, `${ascending(values)[index]} lies at ${fraction}`)
    if (index > 0) assert.ok(fraction >= fractions[index - 1]!, 'a larger value lies before a smaller one')
  })
  assert.ok(scale.ticks.length >= 2, `only ${scale.ticks.length} ticks`)
  for (const { value } of scale.ticks) {
    const at = scale.fraction(value)
    assert.ok(at >= -1e-9 && at <= 1 + 1e-9, `the tick ${value} lies at ${at}`)
  }
  assert.is(
    new Set(scale.ticks.map(({ label }) => label)).size,
    scale.ticks.length,
    'two ticks are labelled alike',
  )
}

test('linear ticks are multiples of one round step, cover what they mark, and are about as many as asked', () => {
  fc.assert(
    fc.property(
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      positive,
      fc.integer({ min: 2, max: 8 }),
      (low, span, about) => {
        const high = low + Math.max(span, Math.abs(low) * 1e-6)
        const ticks = linearTicks(low, high, about)
        const step = Number((ticks[1]! - ticks[0]!).toPrecision(6))
        assert.ok(isRound(step), `a step of ${step}`)
        assert.ok(
          ticks[0]! <= low + step * 1e-6 && ticks.at(-1)! >= high - step * 1e-6,
          `${ticks} for ${low} to ${high}`,
        )
        assert.ok(ticks.length <= about + 3, `${ticks.length} ticks, ${about} asked`)
        ticks.forEach((tick) => {
          assert.ok(
            Math.abs(tick / step - Math.round(tick / step)) < 1e-3,
            `${tick} is no multiple of ${step}`,
          )
        })
      },
    ),
  )
})

test('ticks are written without the noise of binary fractions', () => {
  assert.equal(linearTicks(0, 0.3, 3), [0, 0.1, 0.2, 0.3])
  assert.equal(linearTicks(0, 7, 4), [0, 2, 4, 6, 8])
  assert.equal(linearTicks(5, 5, 4), [5])
  assert.equal(logTicks(1, 50), [1, 2, 5, 10, 20, 50])
  assert.equal(logTicks(1e-4, 0.5), [1e-4, 1e-3, 0.01, 0.1])
  assert.equal(logTicks(2e-4, 5e-3), [2e-4, 5e-4, 1e-3, 2e-3, 5e-3])
  assert.equal(minorTicks(1, 10), [2, 3, 4, 5, 6, 7, 8, 9])
})

test('logarithmic ticks are 1, 2 or 5 times a power of ten', () => {
  fc.assert(
    fc.property(positive, fc.double({ min: 10, max: 1e9, noNaN: true }), (low, ratio) => {
      const ticks = logTicks(low, low * ratio)
      for (const tick of ticks) assert.ok(isRound(tick), `${tick}`)
      assert.ok(ticks.length <= 10, `${ticks.length} ticks`)
    }),
  )
})

test('rounding up and down lands on the nearest round numbers', () => {
  fc.assert(
    fc.property(positive, (value) => {
      const [down, up] = [roundDown(value), roundUp(value)]
      assert.ok(isRound(down) && isRound(up), `${down} ${up}`)
      assert.ok(down <= value * (1 + 1e-9) && up >= value * (1 - 1e-9), `${down} <= ${value} <= ${up}`)
      assert.ok(up / down <= 2.5 + 1e-9, `${down} and ${up} have a round number between them`)
    }),
  )
  assert.is(roundUp(0.3), 0.5)
  assert.is(roundDown(0.3), 0.2)
  assert.is(roundUp(0.2), 0.2)
})

test('every scale keeps the order of values, within its ends, with ticks at both', () => {
  fc.assert(
    fc.property(measured, (values) => {
      checkScale(linearScale(values), values)
      checkScale(logScale(values), values)
      checkScale(eitherScale(values), values)
      checkScale(costScale(values), values)
      checkScale(zeroLogScale([0, ...values], 1e-4), [0, ...values])
      const counts = values.map(Math.ceil)
      checkScale(countScale(counts), counts)
    }),
  )
})

test('a wide scale keeps zero wherever it is drawn', () => {
  assert.is(wideScale([0, 1, 3], 1).breakAt, undefined)
  assert.is(wideScale([0, 1, 3], 1).fraction(0), 0)
  assert.ok(wideScale([0, 1, 300], 1).breakAt !== undefined)
  assert.is(wideScale([2, 300], 1).breakAt, undefined)
  fc.assert(fc.property(measured, (values) => checkScale(wideScale([0, ...values], 1), [0, ...values])))
})

test('on a logarithmic axis equal ratios are equal ways', () => {
  const scale = zeroLogScale([0, 1e-4, 0.3], 1e-4)
  const way = (from: number, to: number): number => scale.fraction(to) - scale.fraction(from)
  assert.ok(Math.abs(way(1e-4, 1e-3) - way(1e-2, 1e-1)) < 1e-12)
  assert.ok(Math.abs(way(2e-4, 4e-4) - way(0.1, 0.2)) < 1e-12)
})

test('zero stands apart below a break in the axis, however small the least value is', () => {
  fc.assert(
    fc.property(measured, (values) => {
      const scale = zeroLogScale([0, ...values], 1e-4)
      const { from, to } = scale.breakAt!
      assert.ok(scale.fraction(0) < from && from < to, 'zero lies on the break')
      for (const value of values) assert.ok(scale.fraction(value) > to, `${value} lies beneath the break`)
      assert.equal(scale.ticks[0], { value: 0, label: '0' })
    }),
  )
})

test('what is below zero, or no number, has no place on a logarithmic axis', () => {
  for (const scale of [zeroLogScale([0, 1], 0.1), logScale([1, 10])]) {
    assert.ok(Number.isNaN(scale.fraction(-1)))
    assert.ok(Number.isNaN(scale.fraction(Number.NaN)))
  }
  assert.ok(Number.isNaN(logScale([1, 10]).fraction(0)))
})

test('an axis of zeros alone begins at the least that could have been told from zero', () => {
  const scale = zeroLogScale([0, 0], 1e-4)
  checkScale(scale, [0, 1e-4, 1e-3])
  assert.is(scale.ticks[1]!.value, 1e-4)
})

test('without zeros there is no break', () => {
  assert.is(zeroLogScale([0.1, 1], 1e-4).breakAt, undefined)
})

test('counts are marked at whole numbers only', () => {
  for (let most = 0; most < 60; most++)
    for (const { value, label } of countScale([most]).ticks) {
      assert.ok(Number.isInteger(value), `${value} of ${most}`)
      assert.is(label, String(value))
    }
})

test('executions are counted from one, where nobody checks, or from what was reached below', () => {
  assert.is(costScale([1.2, 1.5]).ticks[0]!.value, 1)
  assert.is(costScale([1.2, 40]).ticks[0]!.value, 1)
  assert.ok(costScale([0.7, 1.5]).ticks[0]!.value <= 0.7)
})

test('time ends where the run does, in a unit that gives it few digits', () => {
  for (const [endMs, unit] of [
    [900, 'ms'],
    [90_000, 's'],
    [600_000, 'min'],
    [36_000_000, 'h'],
    [1e9, 'days'],
  ] as const) {
    const scale = timeScale(endMs)
    assert.is(scale.unit, unit)
    assert.is(scale.fraction(endMs), 1)
    assert.is(scale.fraction(0), 0)
    for (const { value, label } of scale.ticks) assert.ok(value <= endMs && label.length < 5, label)
  }
  assert.is(timeScale(0).fraction(0), 0)
})

test('percentiles lie alike on both sides of the median', () => {
  const scale = logitScale(0.01, 0.99, [0.5], String)
  assert.ok(Math.abs(scale.fraction(0.5) - 0.5) < 1e-12)
  assert.ok(Math.abs(scale.fraction(0.9) + scale.fraction(0.1) - 1) < 1e-12)
  assert.ok(Number.isNaN(scale.fraction(0)) && Number.isNaN(scale.fraction(1)))
})

test('numbers are written the same way everywhere', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0'],
    [-0, '0'],
    [1, '1'],
    [0.03125, '0.03125'],
    [0.123456, '0.1235'],
    [3.5e-4, '3.5e-4'],
    [1234.5, '1235'],
    [12345.6, '12,346'],
    [1_234_567, '1,234,567'],
    [2e9, '2e9'],
    [Number.NaN, '–'],
    [Number.POSITIVE_INFINITY, '–'],
  ]
  for (const [value, text] of cases) assert.is(figure(value), text)
  assert.is(perCent(0.0285), '2.85')
  assert.equal([1e-4, 2e-3, 1, 0].map(powerLabel), ['10⁻⁴', '2×10⁻³', '1', '0'])
  assert.equal([0.01, 0.5, 20_000, 1e7, 1e-3].map(tickLabel), ['0.01', '0.5', '20,000', '10⁷', '10⁻³'])
})

test('a line that is thinned keeps its ends, its peak and its dip', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer(), { minLength: 1, maxLength: 3000 }),
      fc.integer({ min: 4, max: 400 }),
      (heights, max) => {
        const places = heights.map((y, x) => ({ x, y }))
        const kept = thin(places, max)
        const ys = kept.map(({ y }) => y)
        assert.ok(kept.length <= Math.max(4, max), `${kept.length} of ${max}`)
        assert.equal([kept[0], kept.at(-1)], [places[0], places.at(-1)])
        assert.is(Math.max(...ys), Math.max(...heights))
        assert.is(Math.min(...ys), Math.min(...heights))
        kept.forEach(({ x }, index) => {
          assert.ok(index === 0 || x > kept[index - 1]!.x, 'out of order')
        })
      },
    ),
  )
})

test('labels that would lie on each other are moved apart, in their order', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 200, noNaN: true }), { maxLength: 10 }), (heights) => {
      const moved = spreadApart(ascending(heights), 12, 0, 200)
      moved.forEach((y, index) => {
        assert.ok(y >= -1e-9 && y <= 200 + 1e-9, `${y} is outside`)
        assert.ok(index === 0 || y - moved[index - 1]! >= 12 - 1e-9, `${moved[index - 1]} and ${y}`)
      })
    }),
  )
  assert.equal(spreadApart([10, 50], 12, 0, 100), [10, 50], 'what is apart stays')
})

test('a spread is the middle and the ends of what was measured', () => {
  assert.equal(spread([3, Number.NaN, 1, 2]), { median: 2, low: 1, high: 3, count: 3 })
  assert.equal(spread([4, 1]), { median: 2.5, low: 1, high: 4, count: 2 })
  assert.is(spread([Number.NaN]), undefined)
})

test('what is taken evenly has the first and the last, and never one twice', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 2, max: 200 }), (length, max) => {
      const taken = evenly(
        Array.from({ length }, (_, index) => index),
        max,
      )
      assert.is(taken.length, Math.min(length, max))
      assert.is(taken[0], 0)
      assert.is(taken.at(-1), length - 1)
      assert.is(new Set(taken).size, taken.length)
    }),
  )
})

test.run()

/** Stretches of a run in which something was done to the network, shaded behind what is drawn over time. */
import type { LegendEntry } from '../legend.ts'
import { element, type Markup } from '../markup.ts'
import type { Panel } from '../panels.ts'
import type { Scale } from '../scale.ts'
import type { Study } from '../study.ts'

/** Behind the axes of a panel. */
export function drawSpans(study: Study, panel: Panel, xScale: Scale): readonly Markup[] {
  return (study.input.spans ?? []).flatMap(({ fromMs, untilMs }) => {
    const [from, until] = [Math.max(0, xScale.fraction(fromMs)), Math.min(1, xScale.fraction(untilMs))]
    if (!(until > from)) return []
    const x = panel.x + from * panel.width
    const width = (until - from) * panel.width
    return [element('rect', { class: 'span', x, y: panel.y, width, height: panel.height })]
  })
}

/** One entry for all, since all are shaded alike; none where nothing was done. */
export function spanEntries(study: Study): readonly LegendEntry[] {
  const labels = [...new Set((study.input.spans ?? []).map(({ label }) => label))]
  if (labels.length === 0) return []
  const look = { shape: 'square', dash: undefined, width: 1, group: 'span' } as const
  return [{ label: labels.join(', '), look, kind: 'area' }]
}

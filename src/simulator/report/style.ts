/** How the page looks: on a screen light or dark, on paper, in black and white. Nothing is fetched: no font, no picture. */
import { GROUPS_MAX } from './study.ts'

const LIGHT = `
  --paper: #ffffff; --ink: #1b1d21; --muted: #5b616b; --axis: #6f7681; --grid: #e6e8ec; --tint: #eef0f3; --code: #f4f5f7;
  --honest: #9db4c6; --honest-line: #4f7390; --saboteur: #a3360a; --limit: #1b1d21; --bound: #1b1d21; --infeasible: #f1f1ee;
  --group-0: #0b5cad; --group-1: #d1500a; --group-2: #08805c; --group-3: #8c6a00; --group-4: #b0478b; --group-5: #2d8fbf;
  --group-6: #5b616b; --group-7: #6b3fa0;`

const DARK = `
  --paper: #15171b; --ink: #e9eaec; --muted: #a2a8b2; --axis: #8a919c; --grid: #2a2e35; --tint: #20242a; --code: #20242a;
  --honest: #54728a; --honest-line: #8db3d0; --saboteur: #ff9a68; --limit: #e9eaec; --bound: #e9eaec; --infeasible: #22241f;
  --group-0: #63b3ff; --group-1: #ff8a4a; --group-2: #3ecf9d; --group-3: #e3c14b; --group-4: #ec93c8; --group-5: #7fd3f7;
  --group-6: #a9b0ba; --group-7: #b899f0;`

const groups = Array.from({ length: GROUPS_MAX }, (_, index) => index)

/** The style sheet, well-formed within XML: it holds neither `<` nor `&`. */
export const STYLE = `
:root { color-scheme: light dark;${LIGHT}
}
@media screen and (prefers-color-scheme: dark) { :root {${DARK}
} }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto,
  'Helvetica Neue', 'Liberation Sans', Arial, sans-serif; }
main { max-width: 1088px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 19px; line-height: 1.3; margin: 0 0 4px; font-weight: 650; overflow-wrap: anywhere; }
.kind { margin: 0 0 2px; color: var(--muted); }
.purpose { font-size: 17px; margin: 0 0 16px; max-width: 72ch; overflow-wrap: anywhere; }
dl { display: flex; flex-wrap: wrap; gap: 4px 28px; margin: 0 0 12px; }
dl div { display: flex; gap: 7px; } dt { color: var(--muted); } dd { margin: 0; font-variant-numeric: tabular-nums; }
pre { margin: 0 0 20px; padding: 9px 12px; background: var(--code); border-radius: 4px; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, 'SF Mono', Menlo, Consolas, 'Liberation Mono', monospace; }
section, figure { margin: 40px 0 0; }
figure { break-inside: avoid; }
figcaption p { margin: 0 0 10px; max-width: 96ch; color: var(--muted); overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
svg.plot { display: block; font-family: inherit; overflow: visible; }
@media screen and (min-width: 800px) { svg.plot { max-width: 100%; height: auto; } }

nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 18px 0 0; }
nav a { color: inherit; text-decoration-color: var(--axis); text-underline-offset: 3px; }
fieldset { display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 16px 0 0; padding: 0; border: 0; }
legend { float: left; padding: 0; margin-right: 2px; color: var(--muted); }
label { display: flex; gap: 5px; align-items: center; cursor: pointer; }
label input { margin: 0; accent-color: var(--muted); }

table { border-collapse: collapse; font-size: 13px; line-height: 1.35; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 0 4px 16px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
thead th { vertical-align: bottom; font-weight: 500; color: var(--muted); border-bottom: 1px solid var(--axis); }
th:first-child { padding-left: 0; text-align: left; }
tbody th { font-weight: 600; }
table.summary { width: 100%; }
table.summary thead th { white-space: normal; }
table.rows { font-size: 12px; }
table.rows th:first-child { position: sticky; left: 0; background: var(--paper); padding-right: 8px; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--axis); }
th[aria-sort=ascending] button::after { content: ' ↑'; } th[aria-sort=descending] button::after { content: ' ↓'; }
summary { cursor: pointer; font-size: 19px; font-weight: 650; }
details { margin-top: 40px; } details p { color: var(--muted); margin: 4px 0 10px; }

.plot text { fill: var(--ink); font-size: 12px; }
.plot .tick { fill: var(--muted); font-size: 11px; font-variant-numeric: tabular-nums; }
.plot .title { fill: var(--ink); font-weight: 500; }
.plot .head { font-weight: 600; }
.plot .note { fill: var(--muted); font-size: 11px; }
.plot .named { fill: var(--k, var(--ink)); font-size: 11px; font-weight: 600; }
.axis { stroke: var(--axis); fill: none; stroke-width: 1; }
.minor { stroke-width: .7; }
.grid { stroke: var(--grid); fill: none; stroke-width: 1; }
.zero, .span { fill: var(--tint); }
.infeasible { fill: var(--infeasible); }
.limit { stroke: var(--limit); stroke-width: 1.2; stroke-dasharray: 5 3; fill: none; }
${groups.map((index) => `.g${index} { --k: var(--group-${index}); }`).join(' ')}
.honest { --k: var(--honest-line); } .saboteur { --k: var(--saboteur); } .bound { --k: var(--bound); }
.line { stroke: var(--k); fill: none; stroke-linejoin: round; stroke-linecap: butt; }
.faint { opacity: .55; }
.ghost { stroke: var(--axis); fill: none; stroke-width: 1; stroke-dasharray: 3 2; }
.range { stroke: var(--k); fill: none; stroke-width: 1.1; }
.band { fill: var(--k); opacity: .16; }
.full path { fill: var(--k); stroke: var(--paper); stroke-width: 1.6; paint-order: stroke; }
.half path { fill: color-mix(in srgb, var(--k) 45%, var(--paper)); stroke: var(--k); stroke-width: 1.3; }
.open path { fill: var(--paper); stroke: var(--k); stroke-width: 1.4; }
.honest .area { fill: var(--honest); } .saboteur .area { fill: var(--saboteur); }
.honest.m path { fill: var(--honest); } .saboteur.m path { fill: var(--saboteur); }
.rug { stroke: var(--saboteur); stroke-width: 1.4; fill: none; }
${groups.map((index) => `body:has(#only-${index}:checked) .g:not(.g${index}) { opacity: .1; }`).join('\n')}

@media print {
  @page { size: landscape; margin: 12mm; }
  main { max-width: none; padding: 0; }
  body { font-size: 10pt; }
  nav, fieldset { display: none; }
  svg.plot { width: 100%; height: auto; }
  .scroll { overflow: visible; }
  table { font-size: 7pt; } table.rows { font-size: 5.5pt; }
  th, td { padding: 2px 0 2px 5px; }
  table.rows th:first-child { position: static; }
  thead { display: table-header-group; } tr { break-inside: avoid; }
  details::details-content { content-visibility: visible; height: auto; }
}
`

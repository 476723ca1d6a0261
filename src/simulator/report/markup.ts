/**
 * Markup that is well-formed as HTML and as XML, and into which no name of a scenario can break: whatever is handed in as
 * a string is text, and becomes markup through `element` alone.
 */

/** Source that is markup already. Only `element`, `together` and the page make it. */
export class Markup {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }
}

/** Strings are text; what is undefined is left out. */
export type Child = Markup | string | undefined | readonly Child[]

/** Values are escaped; numbers are rounded as coordinates are. */
export type Attributes = Readonly<Record<string, string | number | undefined>>

/** Elements that never hold anything: these alone may be written without an end tag in HTML, or close themselves in SVG. */
const EMPTY = new Set(['meta', 'br', 'input', 'circle', 'line', 'path', 'rect'])

/** An element. Attributes that are undefined are left out, numbers are rounded as `coordinate` does, children escaped. */
export function element(name: string, attributes: Attributes, ...children: readonly Child[]): Markup {
  const written = Object.entries(attributes)
    .filter((entry): entry is [string, string | number] => entry[1] !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? coordinate(value) : escaped(value)}"`)
    .join('')
  if (EMPTY.has(name)) return new Markup(`<${name}${written}/>`)
  return new Markup(`<${name}${written}>${sourceOf(children)}</${name}>`)
}

/** What `children` are, one after the other. */
export function together(...children: readonly Child[]): Markup {
  return new Markup(sourceOf(children))
}

/** A number as coordinates are written: to a tenth of a pixel, so that the last bits of a logarithm change no byte. */
export function coordinate(value: number): string {
  const rounded = Math.round(value * 10) / 10
  return Number.isFinite(rounded) ? String(rounded === 0 ? 0 : rounded) : '0'
}

/**
 * A string as text or as the value of an attribute. What no document may hold (control characters, halves of characters)
 * and what turns the order of the text around it becomes U+FFFD.
 */
export function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu, '\ufffd')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** A name as it is shown where there is little room; whole in the table of rows. */
export function shortened(text: string, lengthMax: number): string {
  const characters = [...text.toWellFormed()]
  return characters.length <= lengthMax ? text : `${characters.slice(0, lengthMax - 1).join('')}…`
}

function sourceOf(child: Child): string {
  if (child === undefined) return ''
  if (typeof child === 'string') return escaped(child)
  return child instanceof Markup ? child.source : child.map(sourceOf).join('')
}

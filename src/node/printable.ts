// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not reach a terminal
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g
/** Embeddings, overrides and isolates: text after them can be shown in another order than it has. */
const REORDERING = /[\u202a-\u202e\u2066-\u2069]/g
/** What JSON leaves as it is: to some terminals U+009B begins a command. */
const LEFT_BY_JSON = /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

/** Makes text from elsewhere harmless to a terminal: what controls it, or the order of text, becomes visible escapes. */
export function printable(text: string): string {
  return text
    .replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
    .replace(REORDERING, escaped)
}

/** `JSON.stringify` for a terminal or a log: the same value, as harmless as `printable`. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(LEFT_BY_JSON, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

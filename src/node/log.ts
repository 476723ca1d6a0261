import { printable, printableJson } from './printable.ts'

/** One line per thing that happened: readable for people, or one JSON object per line for machines. */
export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}

export type LogFields = Readonly<Record<string, unknown>>
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']
/** A field longer than this is cut in the readable form, so that a line stays a line. */
const FIELD_CHARACTERS_MAX = 200

/**
 * `write` gets one line without its newline. Control characters in what peers sent are escaped, so that nobody can
 * write into a volunteer's terminal.
 */
export function createLog(options: {
  level: LogLevel
  json: boolean
  write: (line: string) => void
  now?: () => Date
}): Log {
  const least = LEVELS.indexOf(options.level)
  const now = options.now ?? (() => new Date())
  const emit = (level: LogLevel, event: string, fields: LogFields = {}): void => {
    if (LEVELS.indexOf(level) < least) return
    const time = now().toISOString()
    options.write(
      options.json
        ? printableJson({ time, level, event, ...plain(fields) })
        : readable(time, level, event, fields),
    )
  }
  return {
    debug: (event, fields) => emit('debug', event, fields),
    info: (event, fields) => emit('info', event, fields),
    warn: (event, fields) => emit('warn', event, fields),
    error: (event, fields) => emit('error', event, fields),
  }
}

/** A log that goes nowhere. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

function readable(time: string, level: LogLevel, event: string, fields: LogFields): string {
  const mark = level === 'info' ? '' : `${level}: `
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${shown(value)}`)
  return [time.slice(11, 19), `${mark}${printable(event)}`, ...rest].join('  ')
}

function shown(value: unknown): string {
  const text =
    value instanceof Error ? value.message : typeof value === 'string' ? value : JSON.stringify(value)
  const safe = printable(text ?? '')
  return safe.length > FIELD_CHARACTERS_MAX ? `${safe.slice(0, FIELD_CHARACTERS_MAX)}...` : safe
}

function plain(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? value.message : value]),
  )
}

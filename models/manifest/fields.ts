import { ManifestError } from './errors.ts'

/** A JSON object under reading: its fields are taken one by one, and none may be left over. */
export interface Fields {
  /** Takes the field `name`, or undefined where it is absent. */
  readonly optional: (name: string) => unknown
  /** Takes the field `name`; throws where it is absent. */
  readonly required: (name: string) => unknown
  /** Throws if a field was not taken. */
  readonly end: () => void
  /** Where a field stands, for messages: `signature.inputs[0].name`. */
  readonly at: (name: string) => string
}

/** Opens `value` as an object with known fields. Throws `malformed-manifest`, as all of this file does. */
export function readFields(value: unknown, where: string): Fields {
  const rest = new Map(Object.entries(readRecord(value, where)))
  const at = (name: string): string => (where === '' ? name : `${where}.${name}`)
  const optional = (name: string): unknown => {
    const field = rest.get(name)
    rest.delete(name)
    return field
  }
  return {
    at,
    optional,
    required(name) {
      if (!rest.has(name)) malformed(`"${at(name)}" is missing`)
      return optional(name)
    },
    end() {
      for (const name of rest.keys()) malformed(`"${at(name)}" is unknown`)
    },
  }
}

export function readRecord(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    malformed(`${where === '' ? 'the manifest' : `"${where}"`} must be an object`)
  }
  return value as Record<string, unknown>
}

export function readList<T>(
  value: unknown,
  where: string,
  countMax: number,
  readElement: (element: unknown, where: string) => T,
): T[] {
  if (!Array.isArray(value)) malformed(`"${where}" must be a list`)
  if (value.length > countMax) malformed(`"${where}" has more than ${countMax} elements`)
  return value.map((element, index) => readElement(element, `${where}[${index}]`))
}

/** A string of 1 to `lengthMax` UTF-16 units, valid Unicode, without control characters. */
export function readText(value: unknown, where: string, lengthMax: number): string {
  if (typeof value !== 'string') malformed(`"${where}" must be a string`)
  if (value.length === 0 || value.length > lengthMax) {
    malformed(`"${where}" must have 1 to ${lengthMax} characters`)
  }
  if (!value.isWellFormed() || /\p{Cc}/u.test(value)) {
    malformed(`"${where}" holds control characters or broken Unicode`)
  }
  return value
}

export function readWhole(value: unknown, where: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    malformed(`"${where}" must be a whole number from ${min} to ${max}`)
  }
  // JSON knows -0, which is equal to 0 but written otherwise.
  return value + 0
}

export function malformed(why: string): never {
  throw new ManifestError('malformed-manifest', `malformed manifest: ${why}`)
}

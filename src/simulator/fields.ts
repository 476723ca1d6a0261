/** Reads plain JSON strictly: every field is named, has its kind and its range, and none is left over. */
import { ScenarioError } from './errors.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export interface Range {
  readonly min?: number
  readonly max?: number
  readonly whole?: boolean
}

/** The fields of one object. A field that is not there has its `otherwise`; without one it must be there. */
export class Fields {
  readonly #value: { readonly [key: string]: Json }
  readonly #path: string
  readonly #read = new Set<string>()

  constructor(value: Json | undefined, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ScenarioError('malformed', path, 'it must be an object, { ... }')
    }
    this.#value = value as { readonly [key: string]: Json }
    this.#path = path
  }

  path(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`
  }

  has(key: string): boolean {
    this.#read.add(key)
    return this.#value[key] !== undefined
  }

  number(key: string, otherwise: number | undefined, { min, max, whole = false }: Range = {}): number {
    const value = this.#take(key) ?? otherwise
    const path = this.path(key)
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw new ScenarioError(
        'malformed',
        path,
        `it must be a number; got ${JSON.stringify(value) ?? 'nothing'}`,
      )
    }
    if (whole && !Number.isInteger(value)) {
      throw new ScenarioError('out-of-range', path, `it must be a whole number; got ${value}`)
    }
    if ((min !== undefined && value < min) || (max !== undefined && value > max)) {
      const range = [min === undefined ? '' : `${min} at least`, max === undefined ? '' : `${max} at most`]
      throw new ScenarioError(
        'out-of-range',
        path,
        `it must be ${range.filter(Boolean).join(' and ')}; got ${value}`,
      )
    }
    return value
  }

  text(key: string, otherwise?: string): string {
    const value = this.#take(key) ?? otherwise
    if (typeof value !== 'string') {
      throw new ScenarioError(
        'malformed',
        this.path(key),
        `it must be a text; got ${JSON.stringify(value) ?? 'nothing'}`,
      )
    }
    return value
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.#take(key) ?? otherwise
    if (typeof value !== 'boolean') {
      throw new ScenarioError(
        'malformed',
        this.path(key),
        `it must be true or false; got ${JSON.stringify(value)}`,
      )
    }
    return value
  }

  choice<Name extends string>(key: string, names: readonly Name[], otherwise?: Name): Name {
    const value = this.#take(key) ?? otherwise
    const found = names.find((name) => name === value)
    if (found === undefined) {
      // Whoever calls it by another name is told of that.
      const others = Object.keys(this.#value).filter((name) => !this.#read.has(name))
      const instead = others.length === 0 ? '' : `; there is only ${others.join(', ')}`
      const got = JSON.stringify(value) ?? `nothing${instead}`
      throw new ScenarioError(
        'out-of-range',
        this.path(key),
        `it must be one of ${names.join(', ')}; got ${got}`,
      )
    }
    return found
  }

  /** Fields of an object in a field; empty where it is not there. */
  object(key: string): Fields {
    return new Fields(this.#take(key) ?? {}, this.path(key))
  }

  /** What `read` makes of each entry of a list; nothing where it is not there. */
  list<Value>(key: string, read: (fields: Fields) => Value, lengthMax: number): Value[] {
    const value = this.#take(key) ?? []
    if (!Array.isArray(value))
      throw new ScenarioError('malformed', this.path(key), 'it must be a list, [ ... ]')
    if (value.length > lengthMax) {
      throw new ScenarioError(
        'out-of-range',
        this.path(key),
        `it has ${value.length} entries; at most ${lengthMax}`,
      )
    }
    return value.map((entry, index) => {
      const fields = new Fields(entry as Json, `${this.path(key)}.${index}`)
      const made = read(fields)
      fields.end()
      return made
    })
  }

  raw(key: string): Json | undefined {
    return this.#take(key)
  }

  /** Throws where something was not read: a field that is misspelt would silently have no effect. */
  end(): void {
    for (const key of Object.keys(this.#value)) {
      if (this.#read.has(key)) continue
      const known = [...this.#read].sort().join(', ')
      throw new ScenarioError('unknown-field', this.path(key), `there is no such field; known are ${known}`)
    }
  }

  #take(key: string): Json | undefined {
    this.#read.add(key)
    return this.#value[key]
  }
}

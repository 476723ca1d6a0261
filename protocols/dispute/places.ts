/** A bounded number of places, in all and for each name. Who finds none may wait in line; those in line go first. */
export interface Places {
  /** Whether `tryTake` would give one. */
  isFree(name: string): boolean
  /** A place at once, or undefined. The function returned gives it back; calling it again does nothing. */
  tryTake(name: string): (() => void) | undefined
  /** A place as soon as there is one. Rejects with the signal's reason. */
  take(name: string, signal: AbortSignal): Promise<() => void>
}

export function createPlaces({ max, perNameMax }: { max: number; perNameMax: number }): Places {
  const taken = new Map<string, number>()
  /** In order of arrival. */
  const line = new Set<{ readonly name: string; readonly enter: () => void }>()
  let total = 0

  const isFree = (name: string) => total < max && (taken.get(name) ?? 0) < perNameMax

  function occupy(name: string): () => void {
    total++
    taken.set(name, (taken.get(name) ?? 0) + 1)
    let isBack = false
    return () => {
      if (isBack) return
      isBack = true
      total--
      const left = taken.get(name)! - 1
      if (left > 0) taken.set(name, left)
      else taken.delete(name)
      for (const next of line) {
        if (!isFree(next.name)) continue
        line.delete(next)
        next.enter()
        return
      }
    }
  }

  return {
    isFree,
    tryTake: (name) => (isFree(name) ? occupy(name) : undefined),
    take: (name, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        if (isFree(name)) return resolve(occupy(name))
        const leave = () => {
          line.delete(place)
          reject(signal.reason)
        }
        const place = {
          name,
          enter: () => {
            signal.removeEventListener('abort', leave)
            resolve(occupy(name))
          },
        }
        signal.addEventListener('abort', leave, { once: true })
        line.add(place)
      }),
  }
}

import type { Conduct } from '../conduct.ts'
import type { Lies } from '../lies.ts'
import { createLiar } from './liar.ts'

/**
 * Models the cheap cheat (rounded or quantised weights, another model) who runs the exact lane as it should be once it is
 * asked to: it signs nothing there that is false, so no proof against it can exist. Shows what local evidence alone is
 * worth: its native answers contradict its own exact runs, and it is asked no more by those who saw it.
 */
export function createNativeLiar(lies: Lies): Conduct {
  return createLiar({ lies, trace: 'honest' })
}

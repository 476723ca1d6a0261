import type { Conduct } from '../conduct.ts'

/** Models the volunteer that the mesh is built for: the baseline, and whom no checker may ever see condemned. */
export function createHonest(): Conduct {
  return { honest: true, answer: () => ({ kind: 'right' }), trace: () => 'honest' }
}

import type { Conduct } from '../conduct.ts'
import { onlyTo } from '../lies.ts'
import { createLiar, type LiarInit } from './liar.ts'

/**
 * Models the provider that discriminates: honest to all but one requester (Dellarocas, Immunizing online reputation
 * reporting systems against unfair ratings and discriminatory behavior, 2000). What others think of it would mislead its
 * victim. Shows why a node believes its own records and proofs alone, and what the victim alone has to pay to find it out.
 */
export function createTargeted({
  requester,
  lies,
  trace,
}: LiarInit & { readonly requester: string }): Conduct {
  return createLiar({ lies: onlyTo(requester, lies), trace })
}

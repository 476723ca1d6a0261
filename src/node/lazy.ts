/**
 * What needs the whole network behind it, loaded when it is first called: half of a command's time is loading what it
 * imports, and most commands start no node.
 */

import type { createNode as create } from './create.ts'
import type { checkExactLanes as check } from './exact-lanes.ts'

/** See `create.ts`. */
export const createNode: typeof create = async (config) => (await import('./create.ts')).createNode(config)

/** See `exact-lanes.ts`. */
export const checkExactLanes: typeof check = async (components, models) =>
  (await import('./exact-lanes.ts')).checkExactLanes(components, models)

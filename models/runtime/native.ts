import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Signature } from '../manifest/index.ts'
import { spawnHost } from './host-process.ts'
import { detectInstructionSet } from './instruction-set.ts'
import type { RuntimeInfo } from './runtime.ts'
import {
  createSupervisor,
  type NativeRuntime,
  type NativeRuntimeComponents,
  type NativeRuntimeInit,
} from './supervisor.ts'

/**
 * A model on onnxruntime-node in a process of its own. Nothing is started before `load` or the first `execute`.
 * `components` replaces what it needs of the world, for tests.
 */
export function createNativeRuntime(
  init: NativeRuntimeInit & { readonly signature: Signature },
  components: Partial<NativeRuntimeComponents> = {},
): NativeRuntime {
  const info = components.info ?? nativeRuntimeInfo()
  return createSupervisor(init, { ...hostComponents, spawn: spawnHost, info, ...components })
}

/** What the supervisor of any runtime needs of the world, but for what runs the model. */
export const hostComponents: Omit<NativeRuntimeComponents, 'spawn' | 'info'> = {
  now: () => performance.now(),
  schedule: (ms, callback) => {
    const timer = setTimeout(callback, ms).unref()
    return () => clearTimeout(timer)
  },
  residentBytes,
}

/** What stands in the receipts of every native runtime on this machine. */
export function nativeRuntimeInfo(): RuntimeInfo {
  const require = createRequire(import.meta.url)
  const { version } = require('onnxruntime-node/package.json') as { version: string }
  return { engine: 'onnxruntime-node', version, lane: 'native', instructionSet: detectInstructionSet() }
}

function residentBytes(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    // The process has just ended, or this system has no /proc: there is nothing to compare.
    return undefined
  }
}

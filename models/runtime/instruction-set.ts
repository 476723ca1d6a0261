import { readFileSync } from 'node:fs'
import { arch } from 'node:process'

/**
 * The instruction-set class of this machine, which decides which kernels the engine picks and so the last bits of its
 * results: `x64-avx512`, `x64-avx2`, `x64`, `arm64`. Linux tells it in /proc/cpuinfo; elsewhere it is the architecture.
 */
export function detectInstructionSet(): string {
  if (arch !== 'x64') return arch
  try {
    return classifyX64(readFileSync('/proc/cpuinfo', 'utf8'))
  } catch {
    // No such file on this system: the architecture is all that is known.
    return arch
  }
}

/** From the text of /proc/cpuinfo. The engine's AVX-512 kernels ask for F, BW, DQ and VL together. */
export function classifyX64(cpuinfo: string): string {
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(/\s+/))
  const has = (...names: string[]) => names.every((name) => flags.has(name))
  if (has('avx512f', 'avx512bw', 'avx512dq', 'avx512vl')) return 'x64-avx512'
  return has('avx2', 'fma') ? 'x64-avx2' : 'x64'
}

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The parts of a `.cpuprofile` that are read here. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[]
}

const MODULES_SHOWN = 12
const FUNCTIONS_SHOWN = 15

/**
 * Where each process spent its own time, by module and by function. `roles` tells what a process id was; a process
 * that is not in it was started by one that is, such as the process of a provider's model.
 */
export async function renderProfiles(directory: string, roles: ReadonlyMap<number, string>): Promise<string> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.cpuprofile')).sort()
  let text = ''
  for (const file of files) {
    // CPU.YYYYMMDD.HHMMSS.PID.THREAD.SEQUENCE.cpuprofile
    const pid = Number(file.split('.')[3])
    const profile = JSON.parse(await readFile(join(directory, file), 'utf8')) as CpuProfile
    text += `\n${roles.get(pid) ?? `process ${pid}, started by one of the others`} (${file})\n`
    text += renderProfile(profile)
  }
  return text
}

export function renderProfile(profile: CpuProfile): string {
  const self = new Map<number, number>()
  profile.samples.forEach((id, index) => {
    self.set(id, (self.get(id) ?? 0) + (profile.timeDeltas[index] ?? 0))
  })
  const modules = new Map<string, number>()
  const functions = new Map<string, number>()
  let busy = 0
  for (const { id, callFrame } of profile.nodes) {
    const time = self.get(id) ?? 0
    if (callFrame.functionName === '(idle)' || time === 0) continue
    busy += time
    const module = moduleOf(callFrame.url, callFrame.functionName)
    const name = `${callFrame.functionName || '(anonymous)'}  ${module}:${callFrame.lineNumber + 1}`
    modules.set(module, (modules.get(module) ?? 0) + time)
    functions.set(name, (functions.get(name) ?? 0) + time)
  }
  const total = profile.timeDeltas.reduce((sum, delta) => sum + delta, 0)
  return (
    `  busy ${(busy / 1000).toFixed(0)} of ${(total / 1000).toFixed(0)} ms\n` +
    `${top(modules, busy, MODULES_SHOWN)}  --\n${top(functions, busy, FUNCTIONS_SHOWN)}`
  )
}

function top(times: ReadonlyMap<string, number>, busy: number, count: number): string {
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([name, time]) => `  ${((time / busy) * 100).toFixed(1).padStart(5)} %  ${name}\n`)
    .join('')
}

/** A package's name, a file of this repository, or `node` and V8's own such as `(garbage collector)`. */
function moduleOf(url: string, functionName: string): string {
  if (url === '') return functionName.startsWith('(') ? functionName : 'native'
  const installed = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(url)?.[1]
  if (installed !== undefined) return installed
  const path = url.replace(/^file:\/\//, '')
  const root = join(import.meta.dirname, '..')
  return path.startsWith(root) ? path.slice(root.length + 1) : path
}

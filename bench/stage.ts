import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createSelfSigned } from './certificate.ts'
import type { BenchOptions, TargetName } from './options.ts'
import { type BenchProcess, startProcess } from './processes/channel.ts'
import type { ServeRequest, Serving } from './processes/http-server.ts'
import type { Provided, ProvideRequest } from './processes/provider.ts'
import type { TargetSpec } from './targets/target.ts'
import type { Workload } from './workloads.ts'

/** The processes of one workload: for each target its servers and one client that is open and knows what is right. */
export interface Stage {
  readonly clients: ReadonlyMap<TargetName, BenchProcess>
  /** Process id to what it was, for the profiles. */
  readonly roles: ReadonlyMap<number, string>
  close(): Promise<void>
}

const MESH_REPLICAS = 3

export async function setStage(workload: Workload, options: BenchOptions, directory: string): Promise<Stage> {
  const processes: BenchProcess[] = []
  const roles = new Map<number, string>()
  const execArgv = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`]
  const start = (entry: string, role: string): BenchProcess => {
    const started = startProcess(entry, { execArgv })
    processes.push(started)
    roles.set(started.pid, `${workload.name} ${role}`)
    return started
  }
  const close = async (): Promise<void> => {
    // Clients first, so that no server has connections to wait for.
    for (const one of processes.reverse()) await one.stop()
  }

  try {
    const clients = new Map<TargetName, BenchProcess>()
    // The direct client always runs: it says what the right answers are.
    const direct = await openClient({ kind: 'direct', threads: options.threads }, 'direct')
    const answers = await direct.request<readonly Uint8Array[]>({ type: 'answers' })
    await direct.request({ type: 'expect', answers })
    for (const name of options.targets) {
      if (name === 'direct') {
        clients.set(name, direct)
        continue
      }
      const client = await openClient(await startServers(name), name)
      await client.request({ type: 'expect', answers })
      clients.set(name, client)
    }
    return { clients, roles, close }
  } catch (error) {
    await close()
    throw error
  }

  async function openClient(target: TargetSpec, name: TargetName): Promise<BenchProcess> {
    const client = start('client', `${name} client`)
    await client.request({ type: 'open', target, workload })
    return client
  }

  async function startServers(name: Exclude<TargetName, 'direct'>): Promise<TargetSpec> {
    switch (name) {
      case 'http':
        return await startServer(name)
      case 'https':
        return await startServer(name, createSelfSigned())
      case 'mesh-1':
        return await startProviders(name, 1)
      case 'mesh-3':
        return await startProviders(name, MESH_REPLICAS)
    }
  }

  async function startServer(name: string, tls?: ServeRequest['tls']): Promise<TargetSpec> {
    const request: ServeRequest = {
      type: 'serve',
      workload,
      threads: options.threads,
      ...(tls === undefined ? {} : { tls }),
    }
    const { port } = await start('http-server', `${name} server`).request<Serving>(request)
    const spec = { kind: 'http', port, client: options.httpClient } as const
    return tls === undefined ? spec : { ...spec, certificate: tls.certificate }
  }

  async function startProviders(name: string, count: number): Promise<TargetSpec> {
    const bootstrap: string[] = []
    let model = ''
    for (let index = 0; index < count; index++) {
      const home = join(directory, `${workload.name}-${name}-${index}`)
      await mkdir(home, { recursive: true })
      const request: ProvideRequest = {
        type: 'provide',
        workload,
        threads: options.threads,
        directory: home,
        bootstrap: bootstrap.slice(0, 1),
      }
      const provided = await start('provider', `${name} provider ${index}`).request<Provided>(request)
      bootstrap.push(provided.multiaddr)
      model = provided.model
    }
    const home = join(directory, `${workload.name}-${name}-client`)
    await mkdir(home, { recursive: true })
    const quorum = (count >> 1) + 1
    return { kind: 'mesh', bootstrap: bootstrap.slice(0, 1), model, replicas: count, quorum, directory: home }
  }
}

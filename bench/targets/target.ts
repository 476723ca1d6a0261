import type { Workload } from '../workloads.ts'

/** One way to have a model run. The load generator knows nothing else about it. */
export interface Target {
  /** Raw bytes of the input tensor in, raw bytes of the output tensor out. Rejects when there is no right answer. */
  call(payload: Uint8Array): Promise<Uint8Array>
  /** Resolves when nothing that earlier calls began is still running. */
  drain(): Promise<void>
  close(): Promise<void>
}

/** What a client process needs to know to open its target. Plain data: it travels over the process boundary. */
export type TargetSpec =
  | { readonly kind: 'direct'; readonly threads: number }
  | {
      readonly kind: 'http'
      readonly port: number
      readonly client: HttpClientName
      /** PEM of the server's certificate: HTTPS, and both sides check a SHA-256 digest of each body. */
      readonly certificate?: string
    }
  | {
      readonly kind: 'mesh'
      readonly bootstrap: readonly string[]
      readonly model: string
      readonly replicas: number
      readonly quorum: number
      readonly directory: string
    }

/** `undici` is the one that Node carries for `fetch`, called beneath `fetch`; `node` is `node:http`. */
export type HttpClientName = (typeof HTTP_CLIENT_NAMES)[number]

export const HTTP_CLIENT_NAMES = ['undici', 'node', 'fetch'] as const

export type OpenTarget<Kind extends TargetSpec['kind']> = (
  spec: Extract<TargetSpec, { kind: Kind }>,
  workload: Workload,
) => Promise<Target>

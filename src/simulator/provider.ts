/** A simulated provider: the real machine, with a conduct in place of a runtime, on a modelled machine. */
import type { Conduct, FacedJob, NativeAnswer } from '../adversary/index.ts'
import {
  createProvider,
  type ModelLoad,
  type Provider,
  type ProviderEffect,
  type ProviderEvent,
  type ProviderRefusalCode,
} from '../provider/index.ts'
import type { Random } from '../routing/index.ts'
import type { Alarm, Clock } from './clock.ts'
import { logNormal } from './distribution.ts'

/** A request that lies before a provider. */
export interface Request {
  readonly id: string
  readonly job: FacedJob
  readonly inputBytes: number
  readonly deadlineAtMs: number
  /** Whether nobody has a use for the answer: what it costs is counted apart. */
  readonly isWaste?: boolean
  /** Takes what came of it to whoever asked. */
  readonly answered: (answer: NativeAnswer) => void
  readonly refused: (code: ProviderRefusalCode, retryAfterMs: number) => void
  /** The connection broke. */
  readonly lost: () => void
}

export interface SimProvider {
  /** Its key: changes where a whitewasher comes back. */
  key: string
  readonly node: number
  /** Of the present key. */
  conduct: Conduct
  readonly group: string
  readonly processorClass: number
  readonly models: readonly string[]
  alive: boolean
  /** Native executions that ran to their end or were cut off by the provider's own doing. */
  executions: number
  /** What else it spent, in native executions: traces. */
  traced: number
  /** What attackers made it spend for nothing, in native executions. */
  wasted: number
  request(request: Request): void
  cancel(requestId: string): void
  /** What can be read about one of its models. */
  board(model: string): Board
  /** Everything that it was at is gone. */
  crash(): void
  /** Comes back, with nothing of what it had. */
  revive(): void
}

/** Where everybody reads what a provider announced last of a model: the same object until it announces anew, nothing while it is away. */
export interface Board {
  load: ModelLoad | undefined
}

export interface ProviderModel {
  readonly serviceMs: number
  /** Spread of service times around a machine's mean, and of machines around the mean of all (sigmas of logarithms). */
  readonly serviceSigma: number
  readonly speedSigma: number
}

export interface SimProviderInit
  extends Pick<SimProvider, 'key' | 'node' | 'conduct' | 'group' | 'processorClass' | 'models' | 'alive'> {
  readonly clock: Clock
  readonly random: Random
  readonly model: ProviderModel
  readonly onAnnounced: () => void
}

export function createSimProvider(init: SimProviderInit): SimProvider {
  const { clock, random, model, models } = init
  const speed = logNormal(1, model.speedSigma, random)
  let requests = new Map<string, Request>()
  let timers = new Map<string, Alarm>()
  let batches = new Map<
    number,
    { readonly model: string; readonly ids: readonly string[]; readonly serviceMs: number }
  >()
  /** The runtime of each model does one thing after the other. */
  let busyUntilMs = new Map<string, number>()
  const boards = new Map(models.map((name): [string, Board] => [name, { load: undefined }]))
  let current: SimProvider | undefined
  let machine: Provider = start()
  /** Names the life it leads: what was scheduled in an earlier one finds nobody. */
  let life = 0

  function start(): Provider {
    const fresh = createProvider()
    for (const name of models) {
      const event = {
        type: 'modelReady',
        model: name,
        batching: false,
        serviceMsGuess: model.serviceMs,
      } as const
      for (const effect of fresh.handle(event, clock.nowMs)) perform(effect)
    }
    return fresh
  }

  function tell(event: ProviderEvent): void {
    for (const effect of machine.handle(event, clock.nowMs)) perform(effect)
  }

  function perform(effect: ProviderEffect): void {
    switch (effect.type) {
      case 'execute':
        execute(effect.batchId, effect.model, effect.requestIds)
        return
      case 'abort':
        batches.delete(effect.batchId)
        return
      case 'respond':
      case 'repeat':
        respond(effect.requestId)
        return
      case 'refuse': {
        const request = take(effect.requestId)
        request?.refused(effect.code, effect.retryAfterMs)
        return
      }
      case 'schedule': {
        timers.get(effect.timer)?.cancel()
        const { timer } = effect
        timers.set(
          timer,
          clock.at(effect.atMs, () => {
            timers.delete(timer)
            tell({ type: 'timerExpired', timer })
          }),
        )
        return
      }
      case 'unschedule':
        timers.get(effect.timer)?.cancel()
        timers.delete(effect.timer)
        return
      case 'announce':
        boards.get(effect.model)!.load = claimed(effect.load)
        init.onAnnounced()
        return
      case 'forget':
      case 'drained':
        return
      default:
        effect satisfies never
    }
  }

  function claimed(load: ModelLoad): ModelLoad {
    const factor = (current ?? init).conduct.announcedFactor ?? 1
    if (factor === 1) return load
    return { ...load, queued: Math.round(load.queued * factor), serviceMs: load.serviceMs * factor }
  }

  function take(id: string): Request | undefined {
    const request = requests.get(id)
    requests.delete(id)
    return request
  }

  function execute(batchId: number, name: string, ids: readonly string[]): void {
    const [first] = ids
    const job = first === undefined ? undefined : requests.get(first)?.job
    const factor = job === undefined ? 1 : (provider.conduct.serviceFactor?.(job, random) ?? 1)
    const serviceMs = logNormal(model.serviceMs * speed * factor, model.serviceSigma, random)
    const startMs = Math.max(clock.nowMs, busyUntilMs.get(name) ?? 0)
    busyUntilMs.set(name, startMs + serviceMs)
    batches.set(batchId, { model: name, ids, serviceMs })
    const now = life
    clock.at(startMs + serviceMs, () => {
      if (now === life) finish(batchId)
    })
  }

  function finish(batchId: number): void {
    const batch = batches.get(batchId)
    if (batch === undefined) return
    batches.delete(batchId)
    for (const id of batch.ids) {
      if (requests.get(id)?.isWaste) provider.wasted += 1
      else provider.executions += 1
    }
    const outcomes = batch.ids.map(() => ({ ok: true, outputBytes: OUTPUT_BYTES }) as const)
    tell({ type: 'executed', batchId, serviceMs: batch.serviceMs, outcomes })
  }

  function respond(id: string): void {
    const request = take(id)
    if (request === undefined) return
    const answer = provider.conduct.answer({ ...request.job, nowMs: clock.nowMs }, random)
    if (answer.kind === 'silent') return
    if (answer.kind === 'crash') {
      request.lost()
      provider.crash()
      return
    }
    request.answered(answer)
  }

  function takeDown(): void {
    for (const board of boards.values()) board.load = undefined
  }

  const provider: SimProvider = {
    key: init.key,
    node: init.node,
    conduct: init.conduct,
    group: init.group,
    processorClass: init.processorClass,
    models,
    alive: init.alive,
    executions: 0,
    traced: 0,
    wasted: 0,
    request(request) {
      const { id, job, inputBytes, deadlineAtMs } = request
      requests.set(id, request)
      const { jobId, requester } = job
      tell({
        type: 'requested',
        request: {
          requestId: id,
          jobId,
          requester,
          model: job.model,
          inputBytes,
          batchKey: '',
          rows: 1,
          deadlineAtMs,
        },
      })
    },
    cancel(requestId) {
      if (requests.delete(requestId)) tell({ type: 'cancelled', requestId })
    },
    board: (name) => boards.get(name)!,
    crash() {
      provider.alive = false
      takeDown()
      life += 1
      for (const alarm of timers.values()) alarm.cancel()
      const open = [...requests.values()]
      timers = new Map()
      requests = new Map()
      batches = new Map()
      busyUntilMs = new Map()
      for (const request of open) request.lost()
    },
    revive() {
      provider.alive = true
      machine = start()
    },
  }
  current = provider
  if (!init.alive) takeDown()
  return provider
}

/** Only counts against the memory that the machine remembers answers with. */
const OUTPUT_BYTES = 4096

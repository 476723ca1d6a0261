/**
 * The modelled network. Each node has its own distance to the middle of the network; a message takes the sum of both
 * ends' distances, what its bytes take at the slower end's bandwidth, and a retransmission for each time that it is lost,
 * as TCP has it. Between the sides of a partition nothing passes.
 */
import type { Random } from '../routing/index.ts'
import { logNormal } from './distribution.ts'

export interface NetworkModel {
  /** Mean one-way delay between two nodes, and the spread of nodes around it (sigma of the logarithm). */
  readonly latencyMs: number
  readonly latencySigma: number
  /** One-way delays between regions, which replace `latencyMs` where given: `matrix[from][to]` in milliseconds. */
  readonly latencyMatrixMs?: readonly (readonly number[])[]
  /** Probability that a packet is lost and sent again. */
  readonly loss: number
  readonly retransmitMs: number
  /** Of each node, in bytes a millisecond; 0 is without bound. */
  readonly bandwidthBytesPerMs: number
  readonly partitions: readonly Partition[]
}

/** From `fromMs` until `untilMs` nodes are split into `sides` by their number; nothing passes between sides. */
export interface Partition {
  readonly fromMs: number
  readonly untilMs: number
  readonly sides: number
}

export interface Network {
  /** Milliseconds until a message of `bytes` arrives; undefined where it never does. */
  delayMs(from: number, to: number, bytes: number, nowMs: number): number | undefined
  /** Whether the two can reach each other now. */
  isConnected(from: number, to: number, nowMs: number): boolean
  /** When the partition that lies between the two now ends; `nowMs` where none does. */
  healsAtMs(from: number, to: number, nowMs: number): number
}

/** Longer than this is no retransmission any more but a broken connection; the probability is `loss` to this power. */
const RETRANSMISSIONS_MAX = 8

export function createNetwork(model: NetworkModel, random: Random): Network {
  const { latencyMs, latencySigma, latencyMatrixMs, loss, retransmitMs, bandwidthBytesPerMs, partitions } =
    model
  const distances: number[] = []
  /** Half of the mean each; drawn when a node is first met, in order, so that it does not depend on traffic. */
  const distanceOf = (node: number): number => {
    for (let index = distances.length; index <= node; index++) {
      distances.push(logNormal(latencyMs / 2, latencySigma, random))
    }
    return distances[node]!
  }
  const partitionBetween = (from: number, to: number, nowMs: number) =>
    partitions.find(
      ({ fromMs, untilMs, sides }) => nowMs >= fromMs && nowMs < untilMs && from % sides !== to % sides,
    )

  return {
    delayMs(from, to, bytes, nowMs) {
      if (partitions.length > 0 && partitionBetween(from, to, nowMs) !== undefined) return
      const regions = latencyMatrixMs?.length ?? 0
      let delay =
        regions > 0 ? latencyMatrixMs![from % regions]![to % regions]! : distanceOf(from) + distanceOf(to)
      if (bandwidthBytesPerMs > 0) delay += bytes / bandwidthBytesPerMs
      if (loss > 0) {
        for (let times = 0; random.next() < loss; times++) {
          if (times === RETRANSMISSIONS_MAX) return
          delay += retransmitMs * 2 ** times
        }
      }
      return delay
    },
    isConnected: (from, to, nowMs) => partitionBetween(from, to, nowMs) === undefined,
    healsAtMs: (from, to, nowMs) => partitionBetween(from, to, nowMs)?.untilMs ?? nowMs,
  }
}

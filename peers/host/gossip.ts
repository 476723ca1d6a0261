import { type GossipSub, type GossipSubComponents, gossipsub, StrictSign } from '@libp2p/gossipsub'
import type { Clock } from '../clock/index.ts'
import {
  GOSSIP_OUTBOUND_BYTES_MAX,
  GOSSIP_RPC_BYTES_MAX,
  GOSSIP_RPC_ENTRIES_MAX,
  GOSSIP_TOPIC_BYTES_PER_PEER,
} from './constants.ts'
import type { Demerits } from './demerits.ts'

/**
 * Gossipsub as this mesh uses it. A message is heard only on a topic that has a validator: whoever listens to a topic
 * says first what is valid there.
 */
export function createGossip(
  demerits: Demerits,
  clock: Clock,
): (components: GossipSubComponents) => GossipSub {
  return (components) => {
    const gossip: GossipSub = gossipsub({
      globalSignaturePolicy: StrictSign,
      fallbackToFloodsub: false,
      emitSelf: false,
      // Announcing while alone is normal; whoever comes later triggers another announcement.
      allowPublishToZeroTopicPeers: true,
      ignoreDuplicatePublishError: true,
      // Work for one peer's stream is done in turn, so a flood from it queues at its own sender.
      awaitRpcHandler: true,
      awaitRpcMessageHandler: true,
      maxInboundDataLength: GOSSIP_RPC_BYTES_MAX,
      maxOutboundBufferSize: GOSSIP_OUTBOUND_BYTES_MAX,
      maxTopicBytesPerPeer: GOSSIP_TOPIC_BYTES_PER_PEER,
      maxInboundStreams: 4,
      maxOutboundStreams: 4,
      decodeRpcLimits: {
        maxSubscriptions: GOSSIP_RPC_ENTRIES_MAX,
        maxMessages: GOSSIP_RPC_ENTRIES_MAX,
        maxControlMessages: GOSSIP_RPC_ENTRIES_MAX,
        maxIhaveMessageIDs: 2048,
        maxIwantMessageIDs: 2048,
        maxIdontwantMessageIDs: 512,
        maxPeerInfos: 16,
      },
      // Without it the signature of every duplicate is verified. Author and sequence number name a message; a forged
      // pair only enters the cache of seen ones after its signature was found good.
      fastMsgIdFn: (message) => `${latin1(message.from)}/${latin1(message.seqno)}`,
      dataTransform: {
        inboundTransform(topic, data) {
          if (!gossip.topicValidators.has(topic)) throw new Error('nobody here listens to this topic')
          return data
        },
        outboundTransform: (_topic, data) => data,
      },
      scoreParams: {
        // More than ten nodes behind one address are normal here: a mesh on one machine, a school behind one NAT.
        // Who shares an address matters where providers are drawn, and is counted there.
        IPColocationFactorWeight: 0,
        appSpecificScore: (peer) => -demerits.of(peer, clock.now()),
        appSpecificWeight: 1,
      },
    })(components)
    return gossip
  }
}

function latin1(bytes: Uint8Array | undefined): string {
  return bytes === undefined
    ? ''
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/**
 * How far the clock of a caller may be off before its calls are taken for old ones. Gossipsub forgets what it has seen
 * after two minutes; what is younger than that and played again is known by its id.
 */
export const CLOCK_SKEW_MAX_MS = 2 * 60_000
/**
 * Calls that are known: more than are heard in all while the time of the first could still be good, even if each of 150
 * neighbours uses what it is assured of. Beyond it the oldest is forgotten.
 */
export const CALLS_KNOWN_MAX = 12_288

/** Calls of one author: one for each model that a person's task needs, a few tasks after each other, then one in 5 s. */
export const AUTHOR_BURST = 8
export const AUTHOR_PER_SECOND = 1 / 5
/** What one neighbour may pass on, over all authors: keys cost nothing, a connection does. */
export const NEIGHBOUR_BURST = 40
export const NEIGHBOUR_PER_SECOND = 5
/**
 * What a node hears and passes on in all. Delivering a message of gossip takes 2 to 3 ms of a processor: 10 calls a second
 * are 3 % of one, and 2 KiB a second from each of a handful of neighbours, however large the mesh is.
 */
export const NODE_BURST = 80
export const NODE_PER_SECOND = 10
/** Of each neighbour so much is heard also where others have used all of that up. */
export const ASSURED_BURST = 4
export const ASSURED_PER_SECOND = 1 / 5
/** Authors and neighbours whose use is remembered. */
export const AUTHORS_MAX = 4096
export const NEIGHBOURS_MAX = 512

/** Own calls, below what others take of one author. */
export const OWN_BURST = 6
export const OWN_PER_SECOND = 1 / 6
/** Own calls under way at once, one a model. */
export const OWN_CALLS_MAX = 16
/** How long a node that has just started tries to reach a neighbour that listens to calls. */
export const REACH_MS = 5_000
export const REACH_RETRY_MS = 50

/** Calls to which offers are on their way, of the last seconds: the rate of calls times the longest window, and room. */
export const ROUTES_MAX = 512
/** Offers may still be passed on for so long after their window has closed here: the caller heard of its call before. */
export const ROUTE_SLACK_MS = 500
/** Offers for one call that a node takes or passes on, in all and of one neighbour. About 300 bytes each. */
export const OFFERS_PER_CALL_MAX = 256
export const OFFERS_PER_CALL_AND_NEIGHBOUR_MAX = 64
/** And of neighbours that offer themselves, which those of others cannot keep out: as many as connections come and go. */
export const OWN_NAME_OFFERS_PER_CALL_MAX = 512
/** Offers that are read of one neighbour, over all calls: a busy call at once, and some more a second. */
export const OFFERS_BURST = 256
export const OFFERS_PER_SECOND = 32

/** Offers of this node's own: each is a signature and a message to some neighbours. */
export const OWN_OFFERS_BURST = 32
export const OWN_OFFERS_PER_SECOND = 8
/** Own offers that wait for their moment. */
export const OWN_OFFERS_WAITING_MAX = 64
/** All providers of a model hear of a call at about the same time: they answer within this part of its window. */
export const OWN_OFFER_DELAY_PART = 0.2
/**
 * A provider sends its offer back by the neighbour from which it had the call, and by so many others: whoever is first
 * with a call is not the only one who can lose the answer.
 */
export const OTHER_WAYS = 2
/** What an own offer holds of this node's addresses; what else is in it takes less than 200 of its 768 bytes. */
export const OFFERED_ADDRESSES_BYTES_MAX = 560

/** Offers that wait to be sent to one neighbour, and neighbours for which some wait. More is lost. */
export const SENDING_PER_NEIGHBOUR_MAX = 64
export const SENDING_NEIGHBOURS_MAX = 64

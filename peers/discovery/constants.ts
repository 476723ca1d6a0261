/** Kademlia stores a record at this many peers; a record that reached fewer is published again as the mesh grows. */
export const RECORD_HOLDERS_WANTED = 20

/** How long a newly identified peer waits for others to arrive too before records are published again. */
export const JOIN_SETTLE_MS = 250
/** However fast peers come and go, a record is not published more often than this. */
export const REPROVIDE_MIN_INTERVAL_MS = 2_000
/** The longest pause between two publications of one record, well below its life of 48 hours. */
export const REPROVIDE_INTERVAL_MS = 20 * 60_000

/** A publication or a search that takes longer is given up and tried again. */
export const QUERY_TIMEOUT_MS = 10_000

/** Searches for the providers of a followed model: quickly at first, while a mesh forms, then ever more slowly. */
export const FOLLOW_PAUSE_MIN_MS = 500
export const FOLLOW_PAUSE_MAX_MS = 60_000
export const FOLLOW_PAUSE_FACTOR = 2

/** Providers that one search returns: more than anybody asks at once. */
export const PROVIDERS_MAX = 20
/** Addresses kept of one provider; a record may carry any number. */
export const ADDRESSES_PER_PROVIDER_MAX = 8
/** Providers of one model that a node stays connected to: gossip relays the announcements of the others. */
export const FOLLOWED_CONNECTIONS_MAX = 12
/** Models that are provided or followed at once. */
export const RECORDS_MAX = 256
/** How long the one of two mutual dialers waits for the other. */
export const YIELD_DIAL_MS = 200

export { type Announcement, decodeAnnouncement, encodeAnnouncement } from './announcement.ts'
export { ANNOUNCEMENT_BYTES_MAX, MULTIADDRS_MAX } from './constants.ts'
export { AnnouncementError, type AnnouncementErrorCode } from './errors.ts'

/** Pixels of an image file as stored. A 40-megapixel photo decodes to 120 MB; anything larger is more likely a bomb. */
export const IMAGE_PIXELS_MAX = 40_000_000
/** A page photo compresses to well under this; what is longer is refused before it is decoded. */
export const IMAGE_BYTES_MAX = 64 * 1024 * 1024
/** Larger pictures are reduced to this side on decoding. A page of 100 lines still has 40 pixels a line. */
export const IMAGE_SIDE_MAX = 4096
/** Shorter pictures hold no line of text that a model could read. */
export const IMAGE_SIDE_MIN = 8

/**
 * The longer side of what detection sees. 960 is the model's training scale: lines of body text are found down to
 * about 10 pixels of height, and the cost (about 0.25 s of one core for a square page) stays below that of
 * recognising the lines.
 */
export const DETECTION_SIDE_MAX = 960
/** The detection network halves its input five times. */
export const DETECTION_MULTIPLE = 32
/** The network's own threshold between text and background. */
export const DETECTION_THRESHOLD = 0.3
/** A region whose mean probability is lower is texture, not text. */
export const DETECTION_SCORE_MIN = 0.6
/** The network is trained on lines shrunk by the inverse of this: area times ratio over perimeter, on each side. */
export const DETECTION_UNCLIP_RATIO = 1.5
/** In pixels of the heatmap. Thinner regions are specks. */
export const DETECTION_THICKNESS_MIN = 3
/** Lines read from one page; each becomes a job on the mesh. The regions with most pixels are kept. */
export const LINES_MAX = 400

/**
 * Lines of one page that are being recognised at a time: more than a page of print has, so all of its lines are in
 * flight together, and yet no more than about 250 MB of outputs arrive at once.
 */
export const LINES_IN_FLIGHT_MAX = 64

/** Rows of pixels that the recognition network was trained on. */
export const LINE_HEIGHT = 48
/** Widths are padded to a multiple of this, so that lines of like length share a shape and can share a batch. */
export const LINE_WIDTH_MULTIPLE = 32
/** About 140 letters. A longer line is squeezed: its cost is bounded, its reading suffers. */
export const LINE_WIDTH_MAX = 2560
/** Characters of a recognition dictionary; the largest in use has about 20,000. */
export const DICTIONARY_KEYS_MAX = 100_000
/** Bytes of a dictionary file; a task's files may weigh 1 MB together. */
export const DICTIONARY_BYTES_MAX = 1024 * 1024

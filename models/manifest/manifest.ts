import type { Lane } from '../runtime/index.ts'
import type { DType } from '../tensor/index.ts'

/** The manifest's file name inside a model directory. */
export const MANIFEST_FILE = 'verimesh.json'

/**
 * What a model is and how its answers are compared. Lies as canonical JSON in `verimesh.json`. It holds only what
 * follows from the files or was declared by the publisher, never what a machine measured: the same source has the
 * same address everywhere.
 */
export interface Manifest {
  readonly verimesh: 1
  readonly name: string
  /** SPDX expression. */
  readonly license?: string
  /** Path of the `.onnx` file inside the directory. */
  readonly model: string
  /** Every file of the directory except the manifest itself, sorted by path. */
  readonly files: readonly ManifestFile[]
  readonly signature: Signature
  /** Has `exact` exactly where there is a `plan`. */
  readonly lanes: readonly Lane[]
  /** What the exact lane executes; follows from the model's bytes. Left out for a model that it cannot execute. */
  readonly plan?: PlanRoot
  readonly tolerance: { readonly tau: number }
  /** Whether rows along the first dimension of all inputs and outputs are independent and may be run together. */
  readonly batching: { readonly independent: boolean }
  readonly task?: TaskManifest
}

export interface ManifestFile {
  readonly path: string
  readonly bytes: number
  /** Lowercase hex. */
  readonly sha256: string
}

export interface PlanRoot {
  /** Of the rules by which a plan is derived and encoded. */
  readonly version: 1
  /** Root of the plan (`models/plan`), lowercase hex. */
  readonly root: string
}

export interface Signature {
  readonly inputs: readonly ValueSignature[]
  readonly outputs: readonly ValueSignature[]
}

export interface ValueSignature {
  readonly name: string
  readonly dtype: DType
  /** A number is fixed; a string is symbolic and may be anything from 1 up. */
  readonly dims: readonly (number | string)[]
}

/** What people pass in and get out. Discriminated by `kind`; the parameters of each kind are in `models/task`. */
export interface TaskManifest {
  readonly kind: string
  /** Files (among `files`) that a requester needs in order to use the task, 1 MB together at most. */
  readonly files: readonly string[]
  /** Role to address (CID) of the other models that the task needs. */
  readonly companions: Readonly<Record<string, string>>
  readonly parameters: Readonly<Record<string, number | string | boolean | readonly number[]>>
}

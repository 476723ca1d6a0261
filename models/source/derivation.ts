import {
  encodeManifest,
  type Manifest,
  ManifestError,
  type ManifestFile,
  type PlanRoot,
  type Signature,
  type TaskManifest,
  type ValueSignature,
} from '../manifest/index.ts'
import { TAU_DEFAULT, TAU_FLOAT16 } from './constants.ts'
import { SourceError } from './errors.ts'

/** What does not follow from the files; the rest of a manifest does. */
export interface Declared {
  readonly name: string
  /** SPDX expression. */
  readonly license?: string
  readonly tau?: number
  readonly independent?: boolean
  readonly task?: TaskManifest
}

/** What follows from a model's bytes about its lanes. */
export interface Lanes {
  /** Undefined for a model that the exact lane does not execute. */
  readonly plan: PlanRoot | undefined
  /** Whether a tolerance tells an honest native answer from a cheap cheat. */
  readonly isNativeCheckable: boolean
}

/**
 * The manifest of a model that came without one; without a plan for the native lane alone. Throws `unsupported-model` where
 * it would be none.
 */
export function deriveManifest(
  model: string,
  files: readonly ManifestFile[],
  signature: Signature,
  { plan, isNativeCheckable }: Lanes,
  declared: Declared,
): Manifest {
  const { name, license, tau = defaultTau(signature), independent = false, task } = declared
  const manifest: Manifest = {
    verimesh: 1,
    name,
    ...(license === undefined ? {} : { license }),
    model,
    files,
    signature,
    lanes: plan === undefined ? ['native'] : isNativeCheckable ? ['native', 'exact'] : ['exact'],
    ...(plan === undefined ? {} : { plan }),
    tolerance: { tau },
    batching: { independent },
    ...(task === undefined ? {} : { task }),
  }
  try {
    encodeManifest(manifest)
  } catch (cause) {
    if (!(cause instanceof ManifestError)) throw cause
    throw new SourceError('unsupported-model', `no manifest can be made for this model: ${cause.message}`, {
      cause,
    })
  }
  return manifest
}

/**
 * Checks a manifest that came with the files; `plan` is what follows from them where the manifest states one. Throws
 * `manifest-mismatch`, showing expected and given.
 */
export function verifyManifest(
  manifest: Manifest,
  files: readonly ManifestFile[],
  signature: Signature,
  plan: PlanRoot | undefined,
): Manifest {
  const given = new Map(files.map((file) => [file.path, file]))
  for (const { path, bytes, sha256 } of manifest.files) {
    const file = given.get(path)
    if (file?.bytes !== bytes) mismatch(`"${path}" has ${file?.bytes ?? 0} bytes, the manifest says ${bytes}`)
    if (file.sha256 !== sha256)
      mismatch(`"${path}" has the SHA-256 ${file.sha256}, the manifest says ${sha256}`)
  }
  for (const side of ['inputs', 'outputs'] as const) {
    if (!isSameSide(signature[side], manifest.signature[side])) {
      mismatch(
        `the model's ${side} are ${JSON.stringify(signature[side])}, the manifest says ${JSON.stringify(manifest.signature[side])}`,
      )
    }
  }
  if (manifest.plan?.root !== plan?.root) {
    mismatch(`the plan's root is ${plan?.root}, the manifest says ${manifest.plan?.root}`)
  }
  return manifest
}

/** A publisher may rename symbolic dimensions, so that equal ones have one name. */
function isSameSide(derived: readonly ValueSignature[], stated: readonly ValueSignature[]): boolean {
  return (
    derived.length === stated.length &&
    derived.every(({ name, dtype, dims }, index) => {
      const other = stated[index]
      return (
        other?.name === name &&
        other.dtype === dtype &&
        other.dims.length === dims.length &&
        dims.every(
          (dim, axis) =>
            dim === other.dims[axis] || (typeof dim === 'string' && typeof other.dims[axis] === 'string'),
        )
      )
    })
  )
}

function defaultTau({ outputs }: Signature): number {
  const dtypes = outputs.map(({ dtype }) => dtype)
  if (dtypes.includes('float16')) return TAU_FLOAT16
  return dtypes.some((dtype) => dtype.startsWith('float')) ? TAU_DEFAULT : 0
}

function mismatch(why: string): never {
  throw new SourceError('manifest-mismatch', `the manifest does not match its files: ${why}`)
}

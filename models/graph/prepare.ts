import type { ExternalData } from './constant.ts'
import { IR_VERSION_MAX } from './constants.ts'
import { derivePlan } from './derivation.ts'
import { GraphError } from './errors.ts'
import type { ExactModel } from './exact-model.ts'
import type { OnnxModel } from './model.ts'
import { verifyModel } from './model-verification.ts'
import { domainOf } from './operator-digest.ts'
import { buildOperatorModel } from './operator-model.ts'

/**
 * The plan of a model and the means to run one step of it. `external` holds the files outside the `.onnx`, by location as
 * `externalDataLocations` gives it; their bytes and the model's must not change afterwards, since constants look into them.
 *
 * Reads and hashes every constant at once. Throws GraphError: `unsupported-operator` for what the exact lane does not
 * execute, naming operator, node and reason; `corrupt-model` for what no engine could.
 */
export function prepareExactModel(model: OnnxModel, external: ExternalData): ExactModel {
  const opsets = importedOpsets(model)
  const opsetOf = (domain: string): number => {
    const version = opsets.get(domain)
    if (version !== undefined) return version
    throw new GraphError(
      'corrupt-model',
      `not a usable ONNX model: it uses operators of "${domain}" but imports no version of them`,
    )
  }
  verifyModel(model, opsetOf)
  const { plan, constants, nodes } = derivePlan(model, { opsetOf, external })
  const constant: ExactModel['constant'] = (digest) => {
    const value = constants.get(Buffer.from(digest).toString('hex'))
    if (value === undefined)
      throw new GraphError('unknown-constant', 'the model has no constant of that digest')
    return value
  }
  return {
    plan,
    constant,
    operatorModel(step, dtypes) {
      const node = nodes.get(step)
      if (node === undefined) throw new Error('the step is not one of this plan')
      return buildOperatorModel(node, step, dtypes, { model, external, constant })
    },
  }
}

function importedOpsets(model: OnnxModel): ReadonlyMap<string, number> {
  if (model.irVersion > IR_VERSION_MAX) {
    throw new GraphError(
      'unsupported-operator',
      `the model is written in version ${model.irVersion} of the format; the exact lane knows up to ${IR_VERSION_MAX}`,
    )
  }
  const opsets = new Map<string, number>()
  for (const entry of model.opsetImport) {
    const domain = domainOf(entry)
    const version = Number(entry.version)
    if (opsets.has(domain) && opsets.get(domain) !== version) {
      throw new GraphError('corrupt-model', `not a usable ONNX model: it imports two versions of "${domain}"`)
    }
    opsets.set(domain, version)
  }
  return opsets
}

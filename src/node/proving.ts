import {
  type Accused,
  FraudError,
  type ProvenFraud,
  proveExecution,
  proveShape,
  proveWiring,
  type VerifiableModel,
} from '../../protocols/fraud/index.ts'
import type { Guilty } from '../verification/index.ts'

/**
 * The proof of what a referee found; `operands` are those on which the step was run again. It is verified before it is
 * given. Rejects with FraudError where it would prove nothing.
 */
export async function proveGuilt(
  accused: Accused,
  violation: Guilty['violation'],
  operands: Uint8Array | undefined,
  model: VerifiableModel,
  signal: AbortSignal,
): Promise<ProvenFraud> {
  switch (violation.kind) {
    case 'shape':
      return proveShape(accused, violation, model, signal)
    case 'wiring':
      return proveWiring(accused, violation, model, signal)
    case 'execution':
      if (operands === undefined) throw new FraudError('unproven', 'the operands are missing')
      return proveExecution(accused, { index: violation.index, operands }, model, signal)
    default:
      return violation satisfies never
  }
}

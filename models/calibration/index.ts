export {
  type CalibrateOptions,
  type CalibrationRuntimes,
  calibrate,
  checkExactLane,
  warmExactLane,
} from './calibrate.ts'
export { type Calibration, type CalibrationRow, type LaneJudgement, proposeTau } from './calibration.ts'
export { CalibrationError, type CalibrationErrorCode } from './errors.ts'
export { drawInputs, guessesFor, guessShapes, sampleInputs } from './samples.ts'
export { spreadOf } from './spread.ts'

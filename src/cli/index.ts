export { disputeLine } from './verdict.ts'

export { createFile, replaceFile } from './atomic-file.ts'

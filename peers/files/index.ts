export { createFile, replaceFile } from './atomic-file.ts'
export {
  inTransaction,
  openSqlite,
  SQLITE_BUSY,
  SQLITE_CORRUPT,
  SQLITE_NOT_A_DATABASE,
  sqliteCode,
} from './sqlite.ts'

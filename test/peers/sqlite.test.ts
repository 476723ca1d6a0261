import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { inTransaction, openSqlite, SQLITE_NOT_A_DATABASE, sqliteCode } from '../../peers/files/index.ts'

test('loading the database prints nothing, and other warnings are still printed', () => {
  const { emitWarning } = process
  const seen: string[] = []
  process.emitWarning = ((warning: string | Error) => void seen.push(String(warning))) as typeof emitWarning
  try {
    openSqlite(':memory:', 0).close()
    process.emitWarning('something else', 'ExperimentalWarning')
  } finally {
    process.emitWarning = emitWarning
  }
  assert.equal(seen, ['something else'])
})

test('what an act that throws did in a transaction is undone', () => {
  const database = openSqlite(':memory:', 0)
  database.exec('CREATE TABLE numbers (number INTEGER)')
  const count = () => database.prepare('SELECT count(*) AS count FROM numbers').get()?.count
  assert.is(
    inTransaction(database, () => {
      database.exec('INSERT INTO numbers VALUES (1)')
      return 'done'
    }),
    'done',
  )
  const failing = () =>
    inTransaction(database, () => {
      database.exec('INSERT INTO numbers VALUES (2)')
      throw new Error('no more')
    })
  assert.throws(failing, /no more/)
  assert.is(count(), 1)
  database.close()
})

test('an error of SQLite tells its code, and others have none', () => {
  assert.is(sqliteCode(Object.assign(new Error(), { errcode: SQLITE_NOT_A_DATABASE | (3 << 8) })), 26)
  assert.is(sqliteCode(new Error()), undefined)
  assert.is(sqliteCode('26'), undefined)
})

test.run()

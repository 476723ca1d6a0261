import { mkdtemp, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Replaces `path` by `bytes`, all or nothing, through a file in `workDirectory`, which is on the same file system. */
export async function writeAtomically(path: string, bytes: Uint8Array, workDirectory: string): Promise<void> {
  const folder = await mkdtemp(join(workDirectory, `.write-${process.pid}-`))
  try {
    const written = join(folder, 'content')
    const file = await open(written, 'wx', 0o644)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await renameDurably(written, path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Renames, and waits until the new name is on the disk. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncFolder(dirname(to))
}

export async function syncFolder(path: string): Promise<void> {
  // Windows opens no directory as a file, and needs none of this.
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** The bytes of a file, or undefined where there is none. */
export async function readIfPresent(path: string): Promise<Uint8Array | undefined> {
  return await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
    return undefined
  })
}

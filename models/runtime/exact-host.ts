/** The process of a model in the exact lane. */
import { hostExactModel, readModelFiles } from './exact-loader.ts'
import { serveHost } from './host-loop.ts'

await serveHost(async ({ modelPath, signature }) => {
  const { model, external } = readModelFiles(modelPath)
  return hostExactModel(model, external, signature)
})

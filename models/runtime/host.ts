/** The process of a model on onnxruntime-node. */
import { loadModel } from './engine.ts'
import { serveHost } from './host-loop.ts'

await serveHost(async ({ modelPath, signature, threads }) => {
  if (signature === undefined) throw new Error('the native lane runs models of a known signature only')
  const { run } = await loadModel(modelPath, signature, threads)
  return { run, signature }
})

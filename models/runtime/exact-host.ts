/**
 * The process of a model in the exact lane. Its engine starts before anything else is loaded and before anybody has named
 * a model: another thread compiles 14 MB of WebAssembly meanwhile.
 */
import { createWasmEngine } from './wasm-engine.ts'

const starting = createWasmEngine()
// Told with the model that was to run on it.
starting.catch(() => {})
const [{ hostExactModel, readModelFiles }, { serveHost }] = await Promise.all([
  import('./exact-loader.ts'),
  import('./host-loop.ts'),
])
// Whoever waits for a frame stops this thread, and the engine with it.
await starting.catch(() => {})
await serveHost(async ({ modelPath, signature }) => {
  const { model, external } = readModelFiles(modelPath)
  return hostExactModel(model, external, signature, { supplyEngine: () => starting })
})

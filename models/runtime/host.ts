/** The process of a model on onnxruntime-node. */
import { loadModel } from './engine.ts'
import { serveHost } from './host-loop.ts'

await serveHost(({ modelPath, signature, threads }) => loadModel(modelPath, signature, threads))

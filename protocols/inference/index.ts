export {
  createInferenceClient,
  type InferenceClient,
  type InferenceClientComponents,
  type InferenceReply,
  type InferenceRequest,
} from './client.ts'
export { COMMIT_MS_MAX, INFERENCE_PROTOCOL, STREAMS_MAX } from './constants.ts'
export { InferenceError, type InferenceErrorCode } from './errors.ts'
export type { Refusal, RefusalCode } from './messages.ts'
export type { Committing } from './reveal.ts'
export {
  createInferenceServer,
  type IncomingInference,
  type InferenceAnswer,
  type InferenceHeader,
  type InferenceServer,
  type InferenceServerComponents,
} from './server.ts'

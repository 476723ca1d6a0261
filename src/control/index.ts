export { type ControlClient, connectControl } from './client.ts'
export { ControlError, type ControlErrorCode } from './errors.ts'
export { type ControlServer, startControlServer } from './server.ts'
export { controlSocketPath } from './socket-path.ts'

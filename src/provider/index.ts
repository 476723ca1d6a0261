export type { ModelLoad, ProviderEffect } from './effects.ts'
export type { ProviderEvent, ProviderRefusalCode, ProviderRequest } from './events.ts'

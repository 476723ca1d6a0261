export { PROVIDER_LIMITS, type ProviderLimits } from './constants.ts'
export type { ModelLoad, ProviderEffect } from './effects.ts'
export type { ProviderEvent, ProviderRefusalCode, ProviderRequest } from './events.ts'
export { createProvider, type Provider, type ProviderInit } from './machine.ts'

export { openModelStore } from './disk-store.ts'
export { StoreError, type StoreErrorCode } from './errors.ts'
export { createMemoryModelStore, type MemoryModelStore } from './memory-store.ts'
export type { ModelStore, StoredModel } from './store.ts'

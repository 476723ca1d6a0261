/** Service factor of a provider that does not run the model: it still reads the request, and signs a receipt. */
export const IDLE_FACTOR = 0.01

/**
 * Whether a failure says that the engine would fail on these operands anywhere: only what is known to be such a one. Lack
 * of memory has many voices (`std::bad_alloc`, "Failed to allocate memory for requested buffer"), some under the same
 * codes; a failure that might be one is none of the operands' fault.
 */
export function isRefusal(code: number, message: string): boolean {
  if (/alloc|bad_|memory|exhaust|too large|overflow|null|Message: (vector|basic_string)/i.test(message))
    return false
  if (code === CODE_INVALID_ARGUMENT || code === CODE_NOT_IMPLEMENTED || code === CODE_INVALID_GRAPH)
    return true
  // A condition that the engine states and found unmet, or a type that the operator does not have.
  return (
    (code === CODE_FAIL || code === CODE_RUNTIME_EXCEPTION) &&
    /was false|Type Error|Status Message: [^ ]/.test(message)
  )
}

/** OrtErrorCode of the engine's C interface. */
const CODE_FAIL = 1
const CODE_INVALID_ARGUMENT = 2
const CODE_RUNTIME_EXCEPTION = 6
const CODE_NOT_IMPLEMENTED = 9
const CODE_INVALID_GRAPH = 10

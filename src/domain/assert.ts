/** Closes a switch over a union: a new variant that is not handled becomes a compile error here. */
export function unreachable(value: never): never {
  throw new Error(`Unhandled variant: ${JSON.stringify(value)}`);
}

/** A broken invariant: a bug of ours, never a caller's mistake. It stops what is under way. */
export function invariant(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(`Broken invariant: ${message}`);
}

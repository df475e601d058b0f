/** What was decided: the new state, and what happened, for the record. No events means that nothing was news. */
export interface Decision<State, Event> {
  readonly state: State;
  readonly events: readonly Event[];
}

/** A decision not to do what was asked, as a value with a precise reason and a sentence for people. */
export interface Refusal<Reason extends string> {
  readonly refused: Reason;
  readonly explanation: string;
}

export function isRefusal<Reason extends string>(value: object): value is Refusal<Reason> {
  return "refused" in value;
}

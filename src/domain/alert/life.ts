import type { Refusal } from "../decision.ts";

/**
 * The life of an alert.
 *
 * `open` until somebody has `acknowledged` it (nobody is told any more) or `snoozed` it (nobody is told until a time, then
 * it is open again). A person who says that it is `resolved` ends it before the condition is over; as long as the condition
 * holds it opens no second alert. When the condition is over, by its margin, the alert is `rearmed` and stays that: the
 * next time is a new alert.
 */
export const alertStates = ["open", "acknowledged", "snoozed", "resolved", "rearmed"] as const;
export type AlertState = (typeof alertStates)[number];

/** Said by a person, except for `wake` (the time of a snooze has come) and `rearm` (the condition is over). */
export const alertEvents = ["acknowledge", "snooze", "wake", "resolve", "rearm"] as const;
export type AlertEvent = (typeof alertEvents)[number];

export type AlertRefusal = "already_resolved" | "already_over";

/** For each state what each event makes of it; the state itself means that nothing changes. */
export const alertTransitions = {
  open: {
    acknowledge: "acknowledged",
    snooze: "snoozed",
    wake: "open",
    resolve: "resolved",
    rearm: "rearmed",
  },
  acknowledged: {
    acknowledge: "acknowledged",
    snooze: "snoozed",
    wake: "acknowledged",
    resolve: "resolved",
    rearm: "rearmed",
  },
  snoozed: {
    acknowledge: "acknowledged",
    snooze: "snoozed",
    wake: "open",
    resolve: "resolved",
    rearm: "rearmed",
  },
  resolved: {
    acknowledge: { refused: "already_resolved" },
    snooze: { refused: "already_resolved" },
    wake: "resolved",
    resolve: "resolved",
    rearm: "rearmed",
  },
  rearmed: {
    acknowledge: { refused: "already_over" },
    snooze: { refused: "already_over" },
    wake: "rearmed",
    resolve: { refused: "already_over" },
    rearm: "rearmed",
  },
} as const satisfies Readonly<
  Record<AlertState, Readonly<Record<AlertEvent, AlertState | { readonly refused: AlertRefusal }>>>
>;

const explanations: Readonly<Record<AlertRefusal, string>> = {
  already_resolved: "The alert has been resolved already.",
  already_over: "What the alert was about is over.",
};

/** What an event makes of an alert, or why it is refused. */
export function nextState(state: AlertState, event: AlertEvent): AlertState | Refusal<AlertRefusal> {
  const next = alertTransitions[state][event];
  return typeof next === "string" ? next : { refused: next.refused, explanation: explanations[next.refused] };
}

/** True as long as people are still to be told. */
export function isUnanswered(state: AlertState): boolean {
  return state === "open" || state === "snoozed";
}

import type { Refusal } from "../decision.ts";

/** How far ahead an alert can be snoozed at most, in days. */
export const snoozeDaysMaximum = 30;

export type SnoozeRefusal = "snooze_is_over" | "snooze_too_long";

/** Why an alert cannot be snoozed until a time, or null. Times are ISO 8601. */
export function refuseSnooze(until: string, now: string): Refusal<SnoozeRefusal> | null {
  const milliseconds = Date.parse(until) - Date.parse(now);
  if (milliseconds <= 0)
    return { refused: "snooze_is_over", explanation: "An alert is snoozed until a time that is to come." };
  if (milliseconds > snoozeDaysMaximum * 86_400_000)
    return {
      refused: "snooze_too_long",
      explanation: `An alert is snoozed for ${snoozeDaysMaximum} days at most.`,
    };
  return null;
}

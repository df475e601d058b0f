import type { AlertSeverity } from "./alert.ts";
import type { AlertState } from "./life.ts";

/**
 * The rungs of the ladder: after how many minutes without an answer people are told again, more of them each time. The
 * first rung is the notice itself. What is critical is said three times within an hour; what is not, again a day later.
 */
const rungMinutes: Readonly<Record<AlertSeverity, readonly number[]>> = {
  critical: [0, 15, 60],
  warning: [0, 24 * 60],
};

export interface Escalation {
  /** The highest rung whose time has come, from 0. */
  readonly rung: number;
  /** Milliseconds of age at which the next one comes; null after the last. */
  readonly nextAt: number | null;
}

/** How far up the ladder an alert is that nobody has answered for so many milliseconds. */
export function escalationFor(severity: AlertSeverity, ageMilliseconds: number): Escalation {
  const times = rungMinutes[severity].map((minutes) => minutes * 60_000);
  const reached = times.filter((time) => time <= ageMilliseconds).length;
  return { rung: Math.max(0, reached - 1), nextAt: times[Math.max(1, reached)] ?? null };
}

/** What is known of an alert when it is asked what to do about it. Times are milliseconds since the epoch. */
export interface Unanswered {
  readonly state: AlertState;
  readonly severity: AlertSeverity;
  /** When it opened, or woke last: the ladder begins there. */
  readonly countedFrom: number;
  readonly snoozedUntil: number | null;
  /** Rungs that people were told on since then. */
  readonly rungs: number;
}

export type AlertStep =
  /** Tell people, on this rung. */
  | { readonly step: "tell"; readonly rung: number }
  /** The snooze is over: open it again. */
  | { readonly step: "wake" }
  /** Look again after so many milliseconds. */
  | { readonly step: "wait"; readonly milliseconds: number }
  /** It is answered, or everything was said that there is to say. */
  | { readonly step: "end" };

/**
 * What to do about an alert now. Rungs that were slept through are not made up for: people are told once, on the highest.
 *
 * @param timeScale how much faster the ladder's durations pass than on the clock. The end of a snooze is a time that a
 *   person has named, and is not scaled.
 */
export function nextStep(alert: Unanswered, now: number, timeScale: number): AlertStep {
  if (alert.state === "snoozed") {
    const left = (alert.snoozedUntil ?? now) - now;
    return left <= 0 ? { step: "wake" } : { step: "wait", milliseconds: left };
  }
  if (alert.state !== "open") return { step: "end" };
  const age = (now - alert.countedFrom) * timeScale;
  const { rung, nextAt } = escalationFor(alert.severity, age);
  if (rung >= alert.rungs) return { step: "tell", rung };
  if (nextAt === null) return { step: "end" };
  return { step: "wait", milliseconds: Math.max(1, Math.ceil((nextAt - age) / timeScale)) };
}

import type { UserId } from "../ids.ts";
import { type AlertKind, audienceOf, severityOf } from "./alert.ts";

export const alertMedia = ["in_app", "email", "sms"] as const;
export type AlertMedium = (typeof alertMedia)[number];

/** By which media a person wants to hear of one kind of alert. */
export type Preference = Readonly<Record<AlertMedium, boolean>>;

/** Of whoever has said nothing. Text messages are for what is critical, whatever a preference says. */
export function preferenceDefault(kind: AlertKind): Preference {
  return { in_app: true, email: true, sms: severityOf(kind) === "critical" };
}

/** Somebody of the seller's who may answer alerts. */
export interface Manager {
  readonly userId: UserId;
  readonly role: "creator" | "admin";
  readonly preference: Preference;
  readonly hasPhone: boolean;
}

/** One message to one person, or to those who look after the installation (`userId` null). */
export interface Notice {
  readonly userId: UserId | null;
  readonly medium: AlertMedium;
}

/**
 * Who is told on a rung of the ladder, and how. The seller's creators first; when nobody answers, the admins as well. An
 * alert that no preference lets through is shown in the app to everybody who may answer it: nothing goes unheard.
 *
 * @param smsAllowed whether the seller's plan has text messages.
 */
export function noticesFor(
  kind: AlertKind,
  rung: number,
  managers: readonly Manager[],
  smsAllowed: boolean,
): readonly Notice[] {
  const audience = audienceOf(kind);
  const toEngineering: readonly Notice[] = audience === "seller" ? [] : [{ userId: null, medium: "email" }];
  if (audience === "engineering") return toEngineering;
  const creators = managers.filter(({ role }) => role === "creator");
  const told = rung === 0 && creators.length > 0 ? creators : managers;
  const wanted = told.flatMap((manager) =>
    mediaFor(kind, manager, smsAllowed).map((medium) => ({ userId: manager.userId, medium })),
  );
  const heard =
    wanted.length > 0 ? wanted : managers.map(({ userId }) => ({ userId, medium: "in_app" as const }));
  return [...heard, ...toEngineering];
}

function mediaFor(
  kind: AlertKind,
  { preference, hasPhone }: Manager,
  smsAllowed: boolean,
): readonly AlertMedium[] {
  const maySend: Preference = {
    in_app: true,
    email: true,
    sms: smsAllowed && hasPhone && severityOf(kind) === "critical",
  };
  return alertMedia.filter((medium) => preference[medium] && maySend[medium]);
}

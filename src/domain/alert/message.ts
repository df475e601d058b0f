import { unreachable } from "../assert.ts";
import type { AlertFacts, AlertKind } from "./alert.ts";
import type { ReorderRecommendation } from "./reorder.ts";

/** What an alert says to people, without the dress of any medium. */
export interface AlertMessage {
  /** One line. */
  readonly subject: string;
  readonly paragraphs: readonly string[];
  /** For a text message: one or two lines. */
  readonly short: string;
}

export interface AlertSubject {
  readonly alertId: string;
  readonly kind: AlertKind;
  readonly facts: AlertFacts;
  /** The SKU's name and code. */
  readonly sku: { readonly name: string; readonly code: string };
  readonly reorder: ReorderRecommendation | null;
  /** 0 for the first notice, and higher for each time that nobody has answered. */
  readonly rung: number;
}

const shortMaximum = 300;
const subjectMaximum = 150;

/** Puts an alert into words. */
export function messageOf(alert: AlertSubject): AlertMessage {
  const what = headlineOf(alert);
  const reminder = alert.rung === 0 ? "" : "Reminder: ";
  return {
    subject: shorten(`${reminder}${what}`, subjectMaximum),
    paragraphs: [
      `${what}.`,
      ...explanationOf(alert),
      ...(alert.reorder === null ? [] : [alert.reorder.sentence]),
      ...(alert.rung === 0 ? [] : ["Nobody has answered this alert so far."]),
      `Acknowledge, snooze or resolve it as alert ${alert.alertId}.`,
    ],
    short: shorten(`CreatorFlow: ${reminder}${what}.`, shortMaximum),
  };
}

function headlineOf({ kind, facts, sku }: AlertSubject): string {
  const name = `${sku.name} (${sku.code})`;
  switch (kind) {
    case "low_stock":
      return `Low stock: ${facts.available ?? "few"} of ${name} available`;
    case "out_of_stock":
      return `Out of stock: ${name}`;
    case "sync_failed":
      return `The channel's stock of ${name} could not be set`;
    case "drift":
      return `The channel shows another stock of ${name} than ours`;
    case "shortage":
      return `Paid orders wait for units of ${name}`;
    case "viral":
      return `${name} sells far faster than usual`;
    case "stock_corrupt":
      return `The stock of ${name} does not agree with its ledger`;
    default:
      return unreachable(kind);
  }
}

function explanationOf({ kind, facts }: AlertSubject): readonly string[] {
  const reason = facts.reason === undefined ? [] : [facts.reason];
  switch (kind) {
    case "low_stock":
      return facts.threshold === undefined
        ? reason
        : [`You are told at ${facts.threshold} units or fewer.`, ...reason];
    case "out_of_stock":
      return ["No unit is left to sell. New orders wait until units come in.", ...reason];
    case "sync_failed":
      return [
        "It failed three times in a row. Until it works, the channel may sell what is not there.",
        ...reason,
      ];
    case "drift":
      return ["Nothing that is under way explains the difference.", ...reason];
    case "shortage":
      return ["Count units in, or cancel what cannot be delivered.", ...reason];
    case "viral":
      return [
        "Its numbers go to the channels before all others, and shops that share its stock keep more back while it lasts.",
        ...reason,
      ];
    case "stock_corrupt":
      return ["Reservations of this SKU have stopped. Find out before anything else is sold.", ...reason];
    default:
      return unreachable(kind);
  }
}

function shorten(text: string, lengthMaximum: number): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  const characters = Array.from(line);
  return characters.length <= lengthMaximum ? line : `${characters.slice(0, lengthMaximum - 1).join("")}…`;
}

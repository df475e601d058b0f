import { type ChannelNumbers, decideOffer, desiredTotalOf, type OurNumbers } from "./offer.ts";

/**
 * What a look at a listing comes to when nobody has asked for a push: do the sums agree, is a change on its way, or do they
 * differ without a reason of ours?
 *
 * A difference is a drift only when nothing under way explains it. Four things may: a change here that was not pushed yet, a
 * sale in another shop whose units are not reserved yet, a push without an answer, and a hand-over whose news have not come. The
 * last one shows as fewer units there than here, as many as the shop has open at most; such a difference is only suspected until the
 * shop's orders were polled again.
 */
export interface Comparison {
  readonly ours: OurNumbers;
  /** Null when the channel no longer knows the listing. */
  readonly theirs: ChannelNumbers | null;
  readonly cap: number;
  /** What was seen the time before; null when never. */
  readonly before: ChannelNumbers | null;
  /** The last pushes, the newest first. */
  readonly pushes: readonly PastPush[];
  /** A change here is on its way: in the outbox, being pushed, or too young to have been. */
  readonly isChanging: boolean;
  /** The listing waits for a push that nobody is making. */
  readonly needsPush: boolean;
}

/** A number that was sent, and the reading that it was computed from. */
export interface PastPush {
  readonly desired: number;
  readonly availableSeen: number;
  readonly committedSeen: number;
}

export const driftCauses = [
  /** The number from before our last push is there: the push has not arrived. */
  "push_lost",
  /** A number that we sent earlier is there: that call arrived after the newer one. */
  "overwritten_by_older_push",
  /** Units were locked for a campaign or a creator, or given back, and the sum is not what it was. */
  "pool_moved",
  /** Units left the channel's committed that we count as still there. */
  "sold_outside",
  /** Somebody has set the number by hand, or by another app. */
  "changed_in_seller_center",
  /** The channel does not know the listing any more. */
  "missing_listing",
] as const;
export type DriftCause = (typeof driftCauses)[number];

export type Reconciliation =
  | { readonly is: "agreed" }
  | { readonly is: "under_way" }
  | { readonly is: "push_needed" }
  | {
      readonly is: "drift";
      readonly cause: DriftCause;
      /** Theirs less ours: above 0, units are offered that are not here. */
      readonly units: number;
      /** False while news that have not come may explain it. */
      readonly isCertain: boolean;
    };

/** Decides what one observation of one listing at one warehouse means. */
export function reconcile(comparison: Comparison): Reconciliation {
  const { ours, theirs } = comparison;
  if (theirs === null) {
    return comparison.isChanging
      ? { is: "under_way" }
      : { is: "drift", cause: "missing_listing", units: -desiredTotalOf(ours), isCertain: true };
  }
  if (showsWhatItShould(ours, theirs, comparison.cap)) return { is: "agreed" };
  if (comparison.isChanging) return { is: "under_way" };
  if (comparison.needsPush || ours.unreservedElsewhere > 0) return { is: "push_needed" };
  const units = theirs.available + theirs.committed - desiredTotalOf(ours);
  const cause = probableCause(comparison, theirs, units);
  const isOurPush = cause === "push_lost" || cause === "overwritten_by_older_push";
  return { is: "drift", cause, units, isCertain: isOurPush || units > 0 || -units > openUnits(ours) };
}

/**
 * Equal sums, or an offer that could not be lower or higher although they differ. Fewer units there than here are not of that
 * sort even if the offer is right: what is missing has left the channel, and we keep it for an order.
 */
export function showsWhatItShould(ours: OurNumbers, theirs: ChannelNumbers, cap: number): boolean {
  const decision = decideOffer(ours, theirs, cap);
  if (decision.push) return false;
  const isMissing = theirs.available + theirs.committed < desiredTotalOf(ours);
  return decision.reason === "totals_agree" || !isMissing || theirs.available >= cap;
}

/** Units that the listing's shop has sold and that may have been handed over without our knowing. */
function openUnits(ours: OurNumbers): number {
  return ours.reserved - ours.reservedElsewhere + ours.underWay;
}

function probableCause(
  { ours, before, pushes }: Comparison,
  theirs: ChannelNumbers,
  units: number,
): DriftCause {
  const total = theirs.available + theirs.committed;
  const [last, ...earlier] = pushes;
  if (last !== undefined && total === last.availableSeen + last.committedSeen) return "push_lost";
  if (
    earlier.some((push) => theirs.available === push.desired || total === push.desired + push.committedSeen)
  ) {
    return "overwritten_by_older_push";
  }
  if (before !== null && before.locked !== theirs.locked) return "pool_moved";
  if (units < 0 && theirs.committed < openUnits(ours)) return "sold_outside";
  return "changed_in_seller_center";
}

const causeWords: Readonly<Record<DriftCause, string>> = {
  push_lost: "our last number has not arrived",
  overwritten_by_older_push: "an older number of ours has arrived after a newer one",
  pool_moved: "units were locked for a campaign or a creator, or given back",
  sold_outside: "units have left the channel that we count as still there",
  changed_in_seller_center: "somebody has set the number there, by hand or by another app",
  missing_listing: "the channel does not know the listing any more",
};

/** A drift in a sentence, for people. @param units theirs less ours. */
export function driftSentence(cause: DriftCause, units: number): string {
  const size =
    units === 0
      ? "The numbers differ"
      : `${Math.abs(units)} units ${units > 0 ? "too many" : "too few"} there`;
  return `${size}; probably ${causeWords[cause]}.`;
}

export type DriftRule = "automatic" | "ask" | "push_ours";

/**
 * Whether a drift is repaired without asking: by the `automatic` rule only what our own calls have caused, since everything
 * else somebody may have meant.
 */
export function repairsItself(rule: DriftRule, cause: DriftCause): boolean {
  if (cause === "missing_listing" || rule === "ask") return false;
  return rule === "push_ours" || cause === "push_lost" || cause === "overwritten_by_older_push";
}

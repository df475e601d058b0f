import { unreachable } from "../assert.ts";
import { type ClaimState, type Draft, type Part, referenceOf } from "./draft.ts";
import { type Level, promisable } from "./movement.ts";
import {
  type Claim,
  type ClaimOperation,
  nextGeneration,
  operationIdOf,
  type StockAnswer,
} from "./operation.ts";

type Ship = Extract<ClaimOperation, { kind: "ship" }>;

/** What an operation other than reserving does to the claim it is about. */
export function applyToClaim(
  draft: Draft,
  operation: Exclude<ClaimOperation, { kind: "reserve" }>,
): StockAnswer {
  const claim = meantBy(draft, operation.claim);
  switch (operation.kind) {
    case "release":
      return release(draft, claim, operation.reason);
    case "ship":
      return ship(draft, claim, operation);
    case "reverse":
      return reverse(draft, claim, operation.reason);
    case "rank":
      return rank(draft, claim, operation.paidAt);
    default:
      return unreachable(operation);
  }
}

/**
 * The claim itself, or its next generation when a count has left it short: an order that has not heard of that yet still asks
 * under the older one, and means the same units.
 */
function meantBy(draft: Draft, claim: Claim): Claim {
  if (draft.claimState(claim)?.state !== "released") return claim;
  const next = nextGeneration(claim);
  return draft.claimState(next) === undefined ? claim : next;
}

function release(draft: Draft, claim: Claim, reason: string): StockAnswer {
  const known = draft.claimState(claim);
  switch (known?.state) {
    case undefined:
      draft.become(claim, { state: "closed" });
      return { outcome: "closed" };
    case "waiting":
      noteOversale(draft);
      draft.become(claim, { state: "released" });
      return { outcome: "withdrawn" };
    case "held":
      draft.bookClaim(claim, "release", known.parts, { reason, as: "release" });
      // An order's end is told to the channel by the channel itself; of a hold it knows nothing.
      if (known.expiresAt !== undefined) draft.noteOfferChange();
      draft.become(claim, { state: "released" });
      return { outcome: "released" };
    case "closed":
    case "released":
    case "reversed":
      return { outcome: "closed" };
    case "shipped":
      return { outcome: "refused", reason: "already_shipped" };
  }
}

function ship(draft: Draft, claim: Claim, operation: Ship): StockAnswer {
  const known = draft.claimState(claim);
  if (known?.state === "shipped") return { outcome: "shipped" };
  if (known?.state === "held") {
    // Promised as a backorder, and nobody has counted the units in: they have left, so they were there.
    for (const { locationId, quantity } of known.parts) {
      const level = draft.levelOf(claim, locationId);
      correctMissing(draft, level, quantity - level.onHand, operation);
    }
    draft.bookClaim(claim, "ship", known.parts, { reason: "Shipment arranged", as: "ship" });
    draft.become(claim, { state: "shipped", parts: known.parts });
    return { outcome: "shipped" };
  }
  const ended = known !== undefined && known.state !== "waiting";
  if (!operation.outside || ended) return { outcome: "refused", reason: "nothing_held" };
  return shipOutside(draft, claim, operation);
}

/** It has left, whatever we had promised: what is missing on hand is corrected first, so that every unit is explained. */
function shipOutside(draft: Draft, claim: Claim, operation: Ship): StockAnswer {
  const { quantity } = operation;
  const level = draft.levels.find((candidate) => promisable(candidate) >= quantity) ?? draft.levels[0];
  if (level === undefined) return { outcome: "refused", reason: "unknown_location" };
  const spare = Math.min(level.onHand, Math.max(0, promisable(level)));
  correctMissing(draft, level, quantity - spare, operation);
  const parts: readonly Part[] = [{ locationId: level.locationId, quantity }];
  draft.bookClaim(claim, "reserve", parts, { reason: "Shipped outside", as: "ship" });
  draft.bookClaim(claim, "ship", parts, { reason: "Shipped outside", as: "ship" });
  draft.become(claim, { state: "shipped", parts });
  return { outcome: "shipped" };
}

function correctMissing(draft: Draft, level: Level, missing: number, operation: Ship): void {
  if (missing <= 0) return;
  draft.book(level, {
    kind: "channel_correction",
    quantity: missing,
    reason: "Shipped outside without stock of ours",
    operationId: operationIdOf(operation),
    reference: referenceOf(operation.claim),
  });
  draft.noteOfferChange();
}

function reverse(draft: Draft, claim: Claim, reason: string): StockAnswer {
  const known = draft.claimState(claim);
  if (known?.state === "reversed") return { outcome: "reversed" };
  if (known?.state !== "shipped") return { outcome: "refused", reason: "not_shipped" };
  draft.bookClaim(claim, "ship_reversed", known.parts, { reason, as: "reverse" });
  draft.become(claim, { state: "reversed" });
  return { outcome: "reversed" };
}

function rank(draft: Draft, claim: Claim, paidAt: string): StockAnswer {
  const known = draft.claimState(claim);
  if (known?.state === "waiting") draft.become(claim, { ...known, rank: { ...known.rank, paidAt } });
  return { outcome: "ranked" };
}

/**
 * Somebody has waited, so the channel has sold more than there is, and which of its orders it counts against stock is
 * not which of them got units here. When one of them ends or is served, the channel may offer a unit that is promised.
 */
export function noteOversale(draft: Draft): void {
  draft.noteOfferChange();
}

/** What a reserve that comes under a new id finds: only a claim that was closed first can be met here. */
export function answerToKnown(known: ClaimState): StockAnswer {
  switch (known.state) {
    case "held":
      return { outcome: "reserved" };
    case "waiting":
      return { outcome: "short" };
    case "shipped":
      return { outcome: "shipped" };
    case "reversed":
    case "released":
    case "closed":
      return { outcome: "refused", reason: "claim_closed" };
  }
}

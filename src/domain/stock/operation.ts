import { asId, type LocationId, type OperationId, type ReservationId, type UserId } from "../ids.ts";

/**
 * Which units of which order are meant: one line of one order, and which asking of it. The generation rises when the
 * line is edited, reopened or reserved anew, so that an old answer is never mistaken for a new one.
 */
export interface Claim {
  /** `<shopId>/<channelOrderId>` */
  readonly orderRef: string;
  readonly lineId: string;
  readonly generation: number;
}

/**
 * Whose turn it is when there is not enough: paid orders before unpaid ones, by paid time; unpaid ones by order time.
 * ISO 8601 in UTC.
 */
export interface Rank {
  readonly paidAt: string | null;
  readonly orderedAt: string;
}

/** One request to change a SKU's stock. Applied at most once, ever; asked again it gets the answer of the first time. */
export type StockOperation =
  | {
      readonly kind: "reserve";
      readonly claim: Claim;
      readonly quantity: number;
      readonly rank: Rank;
      /** Where the units must come from; null when any location will do. */
      readonly locationId: LocationId | null;
    }
  /** A waiting claim was paid: it moves up in the queue. */
  | { readonly kind: "rank"; readonly claim: Claim; readonly paidAt: string }
  | { readonly kind: "release"; readonly claim: Claim; readonly reason: string }
  | {
      readonly kind: "ship";
      readonly claim: Claim;
      readonly quantity: number;
      /** Shipped in the channel's own screens, perhaps without a reservation of ours: it left, so it is booked. */
      readonly outside: boolean;
    }
  /** The shipment was cancelled before hand-over: the units never left. */
  | { readonly kind: "reverse"; readonly claim: Claim; readonly reason: string }
  | {
      readonly kind: "adjust";
      readonly adjustmentId: string;
      /** Signed units. */
      readonly quantity: number;
      readonly reason: string;
      readonly actorId: UserId | null;
      readonly locationId: LocationId | null;
    }
  | {
      readonly kind: "open";
      readonly listingId: string;
      readonly locationId: LocationId;
      readonly quantity: number;
    };

export type StockRefusalReason =
  /** The claim was released or withdrawn before it was reserved; it stays closed. */
  | "claim_closed"
  /** Nothing is held for the claim, so it cannot be shipped. */
  | "nothing_held"
  /** The units have left; they come back by an inspected return only. */
  | "already_shipped"
  /** The shipment that should be reversed was never booked. */
  | "not_shipped"
  /** Fewer units would remain than are promised to orders. */
  | "below_reserved"
  /** Fewer than no units would remain. */
  | "below_zero"
  /** The SKU has no stock record at that location. */
  | "unknown_location"
  /** The same id was used before for something else. */
  | "operation_id_reused"
  /** The database refused this operation when it stood alone; engineering is told. */
  | "poisoned";

export type StockAnswer =
  | { readonly outcome: "reserved"; readonly locationId: LocationId }
  /** Not enough: the claim waits its turn and is told when it has been served. */
  | { readonly outcome: "short" }
  | { readonly outcome: "ranked" }
  | { readonly outcome: "released" }
  /** A waiting claim left the queue. */
  | { readonly outcome: "withdrawn" }
  /** Nothing was known of the claim; it is marked closed, so that a late reserve is refused. */
  | { readonly outcome: "closed" }
  | { readonly outcome: "shipped" }
  | { readonly outcome: "reversed" }
  | { readonly outcome: "adjusted"; readonly onHand: number; readonly available: number }
  | { readonly outcome: "opened" }
  | { readonly outcome: "refused"; readonly reason: StockRefusalReason };

/** `<order>/<line>/<generation>` */
export function reservationIdOf(claim: Claim): ReservationId {
  return asId<"Reservation">(`${claim.orderRef}/${claim.lineId}/${claim.generation}`);
}

/** `<order>/<line>/<kind>/<generation>`; adjustments and openings are named by what caused them. */
export function operationIdOf(operation: StockOperation): OperationId {
  switch (operation.kind) {
    case "adjust":
      return asId<"Operation">(`adjust/${operation.adjustmentId}`);
    case "open":
      return asId<"Operation">(`open/${operation.listingId}/${operation.locationId}`);
    case "reserve":
    case "rank":
    case "release":
    case "ship":
    case "reverse":
      return claimOperationId(operation.claim, operation.kind);
  }
}

/** The id that an operation of a kind has, or would have, for a claim. `serve` is the entity's own. */
export function claimOperationId(
  claim: Claim,
  kind: "reserve" | "rank" | "release" | "ship" | "reverse" | "serve",
): OperationId {
  return asId<"Operation">(`${claim.orderRef}/${claim.lineId}/${kind}/${claim.generation}`);
}

/**
 * What was asked, as one canonical text: the same id with another text is an error. What may rightly differ between two
 * askings (the rank, a reason's wording) is left out.
 */
export function inputOf(operation: StockOperation): string {
  switch (operation.kind) {
    case "reserve":
      return `reserve ${operation.quantity} at ${operation.locationId ?? "any"}`;
    case "ship":
      return `ship ${operation.quantity}`;
    case "adjust":
      return `adjust ${operation.quantity} at ${operation.locationId ?? "default"}: ${operation.reason}`;
    case "open":
      return "open";
    case "rank":
    case "release":
    case "reverse":
      return operation.kind;
  }
}

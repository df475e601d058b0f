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
  /** Somebody has counted: the units at a location are as many as this, whatever was thought. */
  | {
      readonly kind: "count";
      readonly countId: string;
      /** Units on the shelf, those that are promised included. */
      readonly onHand: number;
      /** The level's version that the count was made against; null takes any. */
      readonly expectedVersion: number | null;
      readonly reason: string;
      readonly actorId: UserId | null;
      readonly locationId: LocationId | null;
      /**
       * Claims held at the location that a person has agreed to leave short, so that the count may be true: they go back into
       * the queue, each in its own turn, as the next generation.
       */
      readonly leaveShort: readonly WaitingClaim[];
    }
  /** Units arrive, come back inspected and good, break, or are missing from the shelf. */
  | {
      readonly kind: "receive" | "return" | "damage" | "lost";
      readonly changeId: string;
      /** Units, at least 1. */
      readonly quantity: number;
      readonly reason: string;
      readonly actorId: UserId | null;
      readonly locationId: LocationId | null;
    }
  /** Drift is repaired: what a channel's number has shown to be true here. */
  | {
      readonly kind: "correct";
      readonly correctionId: string;
      /** Signed units. */
      readonly quantity: number;
      readonly reason: string;
      readonly actorId: UserId | null;
      readonly locationId: LocationId | null;
      readonly observationId: string;
    }
  /** A level that was stopped goes on, with as many units as a person has found. */
  | {
      readonly kind: "repair";
      readonly repairId: string;
      /** Units on the shelf, those that are promised included. */
      readonly onHand: number;
      readonly reason: string;
      readonly actorId: UserId | null;
      readonly locationId: LocationId | null;
    }
  /** Units leave one location for another and are under way until they are taken. */
  | {
      readonly kind: "send_transfer";
      readonly transferId: string;
      readonly fromLocationId: LocationId;
      readonly toLocationId: LocationId;
      readonly quantity: number;
      readonly reason: string;
      readonly actorId: UserId | null;
    }
  /** Units of a transfer have come, or are known not to come. The rest stays under way. */
  | {
      readonly kind: "take_transfer";
      readonly transferId: string;
      /** Which taking of it this is: a transfer may come in parts. */
      readonly takingId: string;
      readonly received: number;
      readonly missing: number;
      readonly reason: string;
      readonly actorId: UserId | null;
    }
  /** Units are kept for something that is no order, such as a live show, until a time at the latest. */
  | {
      readonly kind: "hold";
      readonly holdId: string;
      readonly quantity: number;
      /** ISO 8601. The hold is released then by its workflow; until it is, its units count as reserved. */
      readonly expiresAt: string;
      readonly reason: string;
      readonly actorId: UserId | null;
      readonly locationId: LocationId | null;
    }
  /** How far below nothing availability may go: backorders are taken down to this. */
  | {
      readonly kind: "set_backorder_floor";
      readonly changeId: string;
      /** 0 takes no backorders; otherwise negative. */
      readonly floor: number;
      readonly locationId: LocationId | null;
    }
  | {
      readonly kind: "open";
      readonly listingId: string;
      readonly locationId: LocationId;
      readonly quantity: number;
    };

/** Operations about a claim, as the order of the claim asks for them. */
export type ClaimOperation = Extract<StockOperation, { readonly claim: Claim }>;

/** A claim that waits for units. */
export interface WaitingClaim {
  readonly claim: Claim;
  readonly quantity: number;
  readonly rank: Rank;
  /** Where the units must come from; null when any location will do. */
  readonly locationId: LocationId | null;
}

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
  /** Fewer units are free than are to be taken away, sent or kept. */
  | "not_enough"
  /** Orders wait for these units: nothing is kept from them. */
  | "others_wait"
  /** The level has changed since it was counted: look again. */
  | "version_changed"
  /** A claim that should be left short holds nothing at that location any more. */
  | "nothing_to_leave_short"
  /** Nothing of that transfer is under way, or fewer units than were taken. */
  | "not_under_way"
  /** The SKU's numbers were corrupted: nothing is kept from it until they are repaired. */
  | "stopped"
  /** The level agrees with its ledger. */
  | "nothing_to_repair"
  /** A transfer from a location to itself. */
  | "same_location"
  /** The SKU has no stock record at that location. */
  | "unknown_location"
  /** The same id was used before for something else. */
  | "operation_id_reused"
  /** The database refused this operation when it stood alone; engineering is told. */
  | "poisoned";

export type StockAnswer =
  | { readonly outcome: "reserved" }
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
  /** A change by hand was booked; the numbers are those after the whole batch, over all locations. */
  | { readonly outcome: "adjusted"; readonly onHand: number; readonly available: number }
  | { readonly outcome: "opened" }
  | { readonly outcome: "refused"; readonly reason: StockRefusalReason };

/** `<order>/<line>/<generation>` */
export function reservationIdOf(claim: Claim): ReservationId {
  return asId<"Reservation">(`${claim.orderRef}/${claim.lineId}/${claim.generation}`);
}

/** The claim of a hold: its reservation stands among those of orders, under a name that no order can have. */
export function holdClaim(holdId: string): Claim {
  return { orderRef: `hold/${holdId}`, lineId: "1", generation: 1 };
}

/** The hold that a claim of `holdClaim` stands for. */
export function holdIdOf({ orderRef }: Claim): string {
  return orderRef.slice("hold/".length);
}

/** The claims whose state decides what an operation does. */
export function claimsNamedBy(operation: StockOperation): readonly Claim[] {
  if ("claim" in operation) return [operation.claim];
  if (operation.kind === "hold") return [holdClaim(operation.holdId)];
  return operation.kind === "count" ? operation.leaveShort.map(({ claim }) => claim) : [];
}

/** The next asking for the same units. */
export function nextGeneration(claim: Claim): Claim {
  return { ...claim, generation: claim.generation + 1 };
}

/** `<order>/<line>/<kind>/<generation>`; changes by hand and openings are named by what caused them. */
export function operationIdOf(operation: StockOperation): OperationId {
  switch (operation.kind) {
    case "adjust":
      return asId<"Operation">(`adjust/${operation.adjustmentId}`);
    case "count":
      return asId<"Operation">(`count/${operation.countId}`);
    case "receive":
    case "return":
    case "damage":
    case "lost":
    case "set_backorder_floor":
      return asId<"Operation">(`${operation.kind}/${operation.changeId}`);
    case "correct":
      return asId<"Operation">(`correct/${operation.correctionId}`);
    case "repair":
      return asId<"Operation">(`repair/${operation.repairId}`);
    case "send_transfer":
      return asId<"Operation">(`send_transfer/${operation.transferId}`);
    case "take_transfer":
      return asId<"Operation">(`take_transfer/${operation.transferId}/${operation.takingId}`);
    case "hold":
      return asId<"Operation">(`hold/${operation.holdId}`);
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

/** The id that an operation of a kind has, or would have, for a claim. `serve` and `yield` are the entity's own. */
export function claimOperationId(
  claim: Claim,
  kind: "reserve" | "rank" | "release" | "ship" | "reverse" | "serve" | "yield",
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
    case "receive":
    case "return":
    case "damage":
    case "lost":
    case "correct":
      return `${operation.kind} ${operation.quantity} at ${operation.locationId ?? "default"}: ${operation.reason}`;
    case "count": {
      const short = operation.leaveShort.map(({ claim }) => reservationIdOf(claim));
      return `count ${operation.onHand} at ${operation.locationId ?? "default"} version ${operation.expectedVersion ?? "any"} leaving short ${short.join(" ")}: ${operation.reason}`;
    }
    case "repair":
      return `repair to ${operation.onHand} at ${operation.locationId ?? "default"}: ${operation.reason}`;
    case "send_transfer":
      return `send ${operation.quantity} from ${operation.fromLocationId} to ${operation.toLocationId}: ${operation.reason}`;
    case "take_transfer":
      return `take ${operation.received}, ${operation.missing} missing: ${operation.reason}`;
    case "hold":
      return `hold ${operation.quantity} at ${operation.locationId ?? "any"} until ${operation.expiresAt}: ${operation.reason}`;
    case "set_backorder_floor":
      return `floor ${operation.floor} at ${operation.locationId ?? "all"}`;
    case "open":
      return "open";
    case "rank":
    case "release":
    case "reverse":
      return operation.kind;
  }
}

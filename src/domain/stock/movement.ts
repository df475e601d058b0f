import type { LocationId, OperationId, UserId } from "../ids.ts";
import { invariant } from "../assert.ts";

/** Why stock changed. What each kind does to on hand and reserved is `effectOf`. */
export type MovementKind =
  | "opening"
  | "receive"
  | "reserve"
  | "release"
  | "ship"
  | "ship_reversed"
  | "return"
  | "lost"
  | "adjust"
  | "damage"
  | "transfer_out"
  | "transfer_in"
  | "channel_correction";

/** What a movement was caused by. */
export type ReferenceType =
  | "order_line"
  | "adjustment"
  | "count"
  | "receipt"
  | "return"
  | "write_off"
  | "transfer"
  | "hold"
  | "observation"
  | "opening"
  | "repair";

/** Units of one SKU at one location, as they are while a batch is being decided. */
export interface Level {
  readonly locationId: LocationId;
  /** Sellable units that physically exist. */
  onHand: number;
  /** Units promised to orders and not yet shipped. */
  reserved: number;
  /** How far below nothing availability may go; 0 unless the SKU takes backorders. */
  backorderFloor: number;
  /** Rises by one a batch. */
  version: number;
  /** Of the last movement at this location. */
  lastSequence: number;
  /** It did not agree with its ledger: nothing is promised from any level of the SKU until a person has repaired it. */
  stopped: boolean;
}

/** One line of the ledger, before and after included. */
export interface Movement {
  readonly sequence: number;
  readonly kind: MovementKind;
  readonly locationId: LocationId;
  readonly quantity: number;
  readonly onHandEffect: number;
  readonly reservedEffect: number;
  readonly previousStock: number;
  readonly newStock: number;
  readonly previousReserved: number;
  readonly newReserved: number;
  readonly reason: string;
  readonly operationId: OperationId;
  readonly reference: { readonly type: ReferenceType; readonly id: string };
  readonly actorId: UserId | null;
}

export type MovementRequest = Pick<Movement, "kind" | "reason" | "operationId" | "reference"> & {
  /** Units, always positive, except for an adjustment or correction, whose sign says the direction; only a repair may move none. */
  readonly quantity: number;
  readonly actorId?: UserId | null;
};

export function available(level: Level): number {
  return level.onHand - level.reserved;
}

/** Units that may still be promised. */
export function promisable(level: Level): number {
  return available(level) - level.backorderFloor;
}

/** What a movement does to a level. */
export function effectOf(
  kind: MovementKind,
  quantity: number,
): { readonly onHand: number; readonly reserved: number } {
  switch (kind) {
    case "opening":
    case "receive":
    case "return":
    case "transfer_in":
    case "ship_reversed":
    case "adjust":
    case "channel_correction":
      return { onHand: quantity, reserved: 0 };
    case "reserve":
      return { onHand: 0, reserved: quantity };
    case "release":
      return { onHand: 0, reserved: -quantity };
    case "ship":
      return { onHand: -quantity, reserved: -quantity };
    case "lost":
    case "damage":
    case "transfer_out":
      return { onHand: -quantity, reserved: 0 };
  }
}

/**
 * Books a movement on a level (which changes) and returns its line of the ledger. The caller has decided that it may
 * be; a level that would become impossible here is a bug, not a refusal.
 */
export function book(level: Level, sequence: number, request: MovementRequest): Movement {
  const effect = effectOf(request.kind, request.quantity);
  const movement: Movement = {
    sequence,
    kind: request.kind,
    locationId: level.locationId,
    quantity: Math.abs(request.quantity),
    onHandEffect: effect.onHand,
    reservedEffect: effect.reserved,
    previousStock: level.onHand,
    newStock: level.onHand + effect.onHand,
    previousReserved: level.reserved,
    newReserved: level.reserved + effect.reserved,
    reason: request.reason,
    operationId: request.operationId,
    reference: request.reference,
    actorId: request.actorId ?? null,
  };
  invariant(
    movement.quantity > 0 || request.reference.type === "repair",
    `${request.operationId} moves no units`,
  );
  invariant(
    movement.newStock >= 0 && movement.newReserved >= 0,
    `${request.operationId} leaves fewer than no units`,
  );
  level.onHand = movement.newStock;
  level.reserved = movement.newReserved;
  level.lastSequence = sequence;
  // What was promised by a wrong number is more than there is until a person has repaired it.
  invariant(
    level.stopped || promisable(level) >= 0,
    `${request.operationId} promises units that do not exist`,
  );
  return movement;
}

import { unreachable } from "../assert.ts";
import { type Draft, underWayOf } from "./draft.ts";
import { available, type Level, type MovementRequest, promisable } from "./movement.ts";
import {
  holdClaim,
  nextGeneration,
  operationIdOf,
  type StockAnswer,
  type StockOperation,
  type StockRefusalReason,
} from "./operation.ts";

/** Operations that no order asks for: people, the catalogue and the comparison with a channel do. */
export type Change = Exclude<StockOperation, { readonly claim: unknown }>;
type ChangeOf<Kind extends Change["kind"]> = Extract<Change, { readonly kind: Kind }>;

/** Each checks everything before it books anything. */
export function applyChange(draft: Draft, operation: Change): StockAnswer {
  switch (operation.kind) {
    case "adjust":
    case "correct":
    case "receive":
    case "return":
    case "damage":
    case "lost":
      return moveUnits(draft, operation);
    case "count":
      return count(draft, operation);
    case "repair":
      return repair(draft, operation);
    case "send_transfer":
      return sendTransfer(draft, operation);
    case "take_transfer":
      return takeTransfer(draft, operation);
    case "hold":
      return hold(draft, operation);
    case "set_backorder_floor":
      return setBackorderFloor(draft, operation);
    case "open":
      return open(draft, operation);
    default:
      return unreachable(operation);
  }
}

function refused(reason: StockRefusalReason): StockAnswer {
  return { outcome: "refused", reason };
}

function adjusted(draft: Draft): StockAnswer {
  draft.noteOfferChange();
  return { outcome: "adjusted", ...draft.numbers() };
}

type Move = ChangeOf<"adjust" | "correct" | "receive" | "return" | "damage" | "lost">;

/** Units come to a location or leave it, by a person's word. */
function moveUnits(draft: Draft, operation: Move): StockAnswer {
  const level = draft.level(operation.locationId);
  if (level === undefined) return refused("unknown_location");
  const takesAway = operation.kind === "damage" || operation.kind === "lost";
  const reason = whyNotChange(level, takesAway ? -operation.quantity : operation.quantity);
  if (reason !== null) return refused(reason);
  draft.book(level, {
    ...movementOf(operation),
    quantity: operation.quantity,
    reason: operation.reason,
    operationId: operationIdOf(operation),
    actorId: operation.actorId,
  });
  return adjusted(draft);
}

function movementOf(operation: Move): Pick<MovementRequest, "kind" | "reference"> {
  switch (operation.kind) {
    case "adjust":
      return { kind: "adjust", reference: { type: "adjustment", id: operation.adjustmentId } };
    case "correct":
      return { kind: "channel_correction", reference: { type: "observation", id: operation.observationId } };
    case "receive":
      return { kind: "receive", reference: { type: "receipt", id: operation.changeId } };
    case "return":
      return { kind: "return", reference: { type: "return", id: operation.changeId } };
    case "damage":
    case "lost":
      return { kind: operation.kind, reference: { type: "write_off", id: operation.changeId } };
  }
}

function whyNotChange(level: Level, units: number): StockRefusalReason | null {
  if (level.onHand + units < 0) return "below_zero";
  return units < 0 && promisable(level) + units < 0 ? "below_reserved" : null;
}

/**
 * A count says what is there, so a count below what is promised is true all the same: then it needs a person to say which
 * orders are left short. These go back into the queue, each at its own turn.
 */
function count(draft: Draft, operation: ChangeOf<"count">): StockAnswer {
  const level = draft.level(operation.locationId);
  if (level === undefined) return refused("unknown_location");
  // The version rises when the whole batch is written: what came before in this one was not counted with either.
  const hasChanged = operation.expectedVersion !== level.version || draft.touched.has(level);
  if (operation.expectedVersion !== null && hasChanged) return refused("version_changed");
  const leftShort = operation.leaveShort.map((waiting) => {
    const known = draft.claimState(waiting.claim);
    const isHeldHere =
      known?.state === "held" &&
      known.expiresAt === undefined &&
      known.parts.some((part) => part.locationId === level.locationId);
    return isHeldHere ? { waiting, parts: known.parts } : null;
  });
  const freed = leftShort
    .flatMap((each) => each?.parts ?? [])
    .reduce((sum, part) => sum + (part.locationId === level.locationId ? part.quantity : 0), 0);
  if (leftShort.includes(null)) return refused("nothing_to_leave_short");
  const change = operation.onHand - level.onHand;
  if (change < 0 && promisable(level) + freed + change < 0) return refused("below_reserved");
  for (const each of leftShort) {
    if (each === null) continue;
    const { waiting, parts } = each;
    draft.bookClaim(waiting.claim, "release", parts, { reason: "Left short by a count", as: "yield" });
    draft.become(waiting.claim, { state: "released" });
    const next = nextGeneration(waiting.claim);
    draft.become(next, { state: "waiting", ...waiting, claim: next });
    draft.leftShort.push(next);
  }
  if (change !== 0) {
    draft.book(level, {
      kind: "adjust",
      quantity: change,
      reason: operation.reason,
      operationId: operationIdOf(operation),
      reference: { type: "count", id: operation.countId },
      actorId: operation.actorId,
    });
  }
  return change === 0 && leftShort.length === 0
    ? { outcome: "adjusted", ...draft.numbers() }
    : adjusted(draft);
}

/**
 * A level that was stopped stands at what its ledger says; how many units there really are is for a person to find. That
 * he found as many is written down as well.
 */
function repair(draft: Draft, operation: ChangeOf<"repair">): StockAnswer {
  const level = draft.level(operation.locationId);
  if (level === undefined) return refused("unknown_location");
  if (!level.stopped) return refused("nothing_to_repair");
  const change = operation.onHand - level.onHand;
  // Also when units were found: by the wrong number more may have been promised than there are, and a count says who waits.
  if (promisable(level) + change < 0) return refused("below_reserved");
  level.stopped = false;
  draft.book(level, {
    kind: "adjust",
    quantity: change,
    reason: operation.reason,
    operationId: operationIdOf(operation),
    reference: { type: "repair", id: operation.repairId },
    actorId: operation.actorId,
  });
  return adjusted(draft);
}

function sendTransfer(draft: Draft, operation: ChangeOf<"send_transfer">): StockAnswer {
  const { transferId, fromLocationId, toLocationId, quantity, reason, actorId } = operation;
  const from = draft.level(fromLocationId);
  if (from === undefined || draft.level(toLocationId) === undefined) return refused("unknown_location");
  if (fromLocationId === toLocationId) return refused("same_location");
  if (Math.min(from.onHand, promisable(from)) < quantity) return refused("not_enough");
  draft.book(from, {
    kind: "transfer_out",
    quantity,
    reason,
    operationId: operationIdOf(operation),
    reference: { type: "transfer", id: transferId },
    actorId,
  });
  draft.saveTransfer({ transferId, fromLocationId, toLocationId, quantity, received: 0, missing: 0 });
  return adjusted(draft);
}

function takeTransfer(draft: Draft, operation: ChangeOf<"take_transfer">): StockAnswer {
  const transfer = draft.transfer(operation.transferId);
  const { received, missing } = operation;
  if (transfer === undefined || received + missing > underWayOf(transfer)) return refused("not_under_way");
  const level = draft.level(transfer.toLocationId);
  if (level === undefined) return refused("unknown_location");
  draft.saveTransfer({
    ...transfer,
    received: transfer.received + received,
    missing: transfer.missing + missing,
  });
  if (received > 0) {
    draft.book(level, {
      kind: "transfer_in",
      quantity: received,
      reason: operation.reason,
      operationId: operationIdOf(operation),
      reference: { type: "transfer", id: operation.transferId },
      actorId: operation.actorId,
    });
  }
  return adjusted(draft);
}

/** What is free now and nobody waits for; a hold never stands in the queue. */
function hold(draft: Draft, operation: ChangeOf<"hold">): StockAnswer {
  if (draft.stopped) return refused("stopped");
  const claim = holdClaim(operation.holdId);
  // Ended before it began: who ended it must not find it afterwards.
  if (draft.claimState(claim) !== undefined) return refused("claim_closed");
  const parts = draft.partsFor(operation.quantity, operation.locationId);
  // A backorder is promised to a buyer; nothing is kept that is not there.
  const isOnShelf = parts?.every((part) => part.quantity <= available(draft.levelOf(claim, part.locationId)));
  if (parts === null || isOnShelf !== true) return refused("not_enough");
  const { reason, actorId } = operation;
  draft.bookClaim(claim, "reserve", parts, { reason, as: "reserve", actorId });
  draft.become(claim, { state: "held", parts, expiresAt: operation.expiresAt });
  return adjusted(draft);
}

function setBackorderFloor(draft: Draft, operation: ChangeOf<"set_backorder_floor">): StockAnswer {
  const levels = operation.locationId === null ? draft.levels : [draft.level(operation.locationId)];
  const known = levels.flatMap((level) => (level === undefined ? [] : [level]));
  if (known.length < levels.length || known.length === 0) return refused("unknown_location");
  if (known.some((level) => available(level) < operation.floor)) return refused("below_reserved");
  for (const level of known) {
    if (level.backorderFloor === operation.floor) continue;
    level.backorderFloor = operation.floor;
    draft.touch(level);
  }
  return { outcome: "adjusted", ...draft.numbers() };
}

function open(draft: Draft, operation: ChangeOf<"open">): StockAnswer {
  const level = draft.level(operation.locationId);
  if (level === undefined) return refused("unknown_location");
  if (operation.quantity > 0) {
    draft.book(level, {
      kind: "opening",
      quantity: operation.quantity,
      reason: "Opening stock from the channel",
      operationId: operationIdOf(operation),
      reference: { type: "opening", id: operation.listingId },
    });
  }
  return { outcome: "opened" };
}

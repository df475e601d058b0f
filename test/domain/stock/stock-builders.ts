import { asId, type OperationId, type ReservationId } from "../../../src/domain/ids.ts";
import {
  type AppliedOperation,
  applyBatch,
  type BatchResult,
  type StockState,
} from "../../../src/domain/stock/apply-batch.ts";
import type { ClaimState, Transfer } from "../../../src/domain/stock/draft.ts";
import type { Level } from "../../../src/domain/stock/movement.ts";
import {
  type Claim,
  claimsNamedBy,
  nextGeneration,
  reservationIdOf,
  type StockOperation,
  type WaitingClaim,
} from "../../../src/domain/stock/operation.ts";
import { compareTurns } from "../../../src/domain/stock/shortage-queue.ts";

export const home = asId<"Location">("home");

export function claim(order: string, line = "1", generation = 1): Claim {
  return { orderRef: `shop/${order}`, lineId: line, generation };
}

export function at(minute: number): string {
  return `2026-01-01T${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}:00.000Z`;
}

export function reserve(
  order: string,
  options: { line?: string; quantity?: number; paid?: number; ordered?: number } = {},
) {
  return {
    kind: "reserve",
    claim: claim(order, options.line),
    quantity: options.quantity ?? 1,
    rank: {
      paidAt: options.paid === undefined ? null : at(options.paid),
      orderedAt: at(options.ordered ?? 0),
    },
    locationId: null,
  } as const satisfies StockOperation;
}

export function release(order: string): StockOperation {
  return { kind: "release", claim: claim(order), reason: "cancelled" };
}

/** @param outside in the channel's own screens. */
export function ship(order: string, outside = false): StockOperation {
  return { kind: "ship", claim: claim(order), quantity: 1, outside };
}

export function reverse(order: string): StockOperation {
  return { kind: "reverse", claim: claim(order), reason: "cancelled" };
}

export function adjust(id: string, quantity: number): StockOperation {
  return { kind: "adjust", adjustmentId: id, quantity, reason: "count", actorId: null, locationId: null };
}

export function level(onHand: number, reserved = 0, locationId = home): Level {
  return { locationId, onHand, reserved, backorderFloor: 0, version: 0, lastSequence: 0, stopped: false };
}

/** A SKU's whole stock in memory: what the database does for `applyBatch` between two batches. */
export class StockInMemory {
  levels: Level[];
  readonly claims = new Map<ReservationId, ClaimState>();
  readonly applied = new Map<OperationId, AppliedOperation>();
  readonly transfers = new Map<string, Transfer>();
  readonly movements: BatchResult["movements"][number][] = [];
  readonly announced = new Set<OperationId>();
  readonly queueLimit: number;
  readonly soldInSeveralShops: boolean;

  constructor(levels: readonly Level[], queueLimit = 1000, soldInSeveralShops = false) {
    this.levels = levels.map((each) => ({ ...each }));
    this.queueLimit = queueLimit;
    this.soldInSeveralShops = soldInSeveralShops;
  }

  state(): StockState {
    const waiting = [...this.claims.values()]
      .filter((each): each is { state: "waiting" } & WaitingClaim => each.state === "waiting")
      .sort(compareTurns);
    return {
      levels: this.levels,
      claims: this.claims,
      applied: this.applied,
      transfers: this.transfers,
      queue: waiting.slice(0, this.queueLimit),
      queueContinues: waiting.length > this.queueLimit,
      soldInSeveralShops: this.soldInSeveralShops,
      announced: this.announced,
    };
  }

  do(...operations: StockOperation[]): BatchResult {
    const result = applyBatch({ ...this.state(), claims: this.#named(operations) }, operations);
    this.levels = this.levels.map(
      (each) => result.levels.find((changed) => changed.locationId === each.locationId) ?? each,
    );
    for (const [id, { is }] of result.claims) this.claims.set(id, is);
    for (const transfer of result.transfers) this.transfers.set(transfer.transferId, transfer);
    for (const applied of result.applied) this.applied.set(applied.operationId, applied);
    this.movements.push(...result.movements);
    return result;
  }

  heldUnits(): number {
    return [...this.claims.values()]
      .flatMap((each) => (each.state === "held" ? each.parts : []))
      .reduce((sum, part) => sum + part.quantity, 0);
  }

  /** Only the claims that the operations name, and the next generation of what was released, as the database loads them. */
  #named(operations: readonly StockOperation[]): Map<ReservationId, ClaimState> {
    const claims = operations.flatMap(claimsNamedBy);
    const named = new Set(
      claims.flatMap((each) => {
        const isReleased = this.claims.get(reservationIdOf(each))?.state === "released";
        return [each, ...(isReleased ? [nextGeneration(each)] : [])].map(reservationIdOf);
      }),
    );
    return new Map([...this.claims].filter(([id]) => named.has(id)));
  }
}

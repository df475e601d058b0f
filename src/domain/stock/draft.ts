import { invariant } from "../assert.ts";
import type { LocationId, ReservationId, UserId } from "../ids.ts";
import { available, book, type Level, type Movement, type MovementRequest, promisable } from "./movement.ts";
import { type Claim, claimOperationId, reservationIdOf, type WaitingClaim } from "./operation.ts";

/** Units of a claim at one location; a claim that no location can serve alone has several parts. */
export interface Part {
  readonly locationId: LocationId;
  readonly quantity: number;
}

/**
 * A claim on units goes through `waiting` (nobody could serve it yet), `held`, and ends as `shipped` or `released`;
 * a shipment may once be `reversed`. A claim that was released before it was asked for is `closed`: the asking, should
 * it still arrive, is refused.
 */
export type ClaimState =
  | { readonly state: "held" | "shipped"; readonly parts: readonly Part[]; readonly expiresAt?: string }
  | { readonly state: "reversed" | "released" | "closed" }
  | ({ readonly state: "waiting" } & WaitingClaim);

/** What a batch has made of a claim. */
export interface ChangedClaim {
  readonly claim: Claim;
  readonly is: ClaimState;
  /** What the claim had become in this same batch before it became what it is: its rows have to say that too. */
  readonly passed?: ClaimState | undefined;
}

/** Units on their way from one location to another. */
export interface Transfer {
  readonly transferId: string;
  readonly fromLocationId: LocationId;
  readonly toLocationId: LocationId;
  readonly quantity: number;
  readonly received: number;
  readonly missing: number;
}

/** Units of a transfer that have neither come nor been given up. */
export function underWayOf({ quantity, received, missing }: Transfer): number {
  return quantity - received - missing;
}

/** Everything of a SKU that a batch has changed so far. What it holds at the end is written; nothing of it is refused. */
export class Draft {
  /** In the order in which they are locked; the first is where units without a location are booked. */
  readonly levels: readonly Level[];
  readonly movements: Movement[] = [];
  readonly touched = new Set<Level>();
  readonly changedClaims = new Map<ReservationId, ChangedClaim>();
  readonly changedTransfers = new Map<string, Transfer>();
  /** Claims that a count has put back into the queue, by their new generation. */
  readonly leftShort: Claim[] = [];
  readonly #claims: Map<ReservationId, ClaimState>;
  readonly #transfers: ReadonlyMap<string, Transfer>;
  #sequence: number;
  #offerChanged = false;

  constructor(state: {
    readonly levels: readonly Readonly<Level>[];
    readonly claims: ReadonlyMap<ReservationId, ClaimState>;
    readonly transfers: ReadonlyMap<string, Transfer>;
  }) {
    this.levels = state.levels.map((level) => ({ ...level }));
    this.#claims = new Map(state.claims);
    this.#transfers = state.transfers;
    this.#sequence = Math.max(0, ...state.levels.map((level) => level.lastSequence));
  }

  /** True while the SKU's numbers wait for a person to repair them. */
  get stopped(): boolean {
    return this.levels.some((level) => level.stopped);
  }

  /** True when units changed hands otherwise than by a sale: what the channels offer must be compared. */
  get offerChanged(): boolean {
    return this.#offerChanged;
  }

  noteOfferChange(): void {
    this.#offerChanged = true;
  }

  claimState(claim: Claim): ClaimState | undefined {
    return this.#claims.get(reservationIdOf(claim));
  }

  waitingClaims(): readonly WaitingClaim[] {
    return [...this.#claims.values()].flatMap((known) => (known.state === "waiting" ? [known] : []));
  }

  become(claim: Claim, is: ClaimState): void {
    const id = reservationIdOf(claim);
    this.#claims.set(id, is);
    this.changedClaims.set(id, { claim, is, passed: this.changedClaims.get(id)?.is });
  }

  transfer(transferId: string): Transfer | undefined {
    return this.changedTransfers.get(transferId) ?? this.#transfers.get(transferId);
  }

  saveTransfer(transfer: Transfer): void {
    this.changedTransfers.set(transfer.transferId, transfer);
  }

  /** The level at a location, or the first one when none is named. */
  level(locationId: LocationId | null): Level | undefined {
    return locationId === null
      ? this.levels[0]
      : this.levels.find((candidate) => candidate.locationId === locationId);
  }

  /**
   * Where a claim's units come from: one location after the other in their order, each giving what it has, the last one the
   * remainder. Null when there are not enough together, and while the SKU is stopped.
   */
  partsFor(quantity: number, locationId: LocationId | null): readonly Part[] | null {
    if (this.stopped) return null;
    const parts: Part[] = [];
    let missing = quantity;
    for (const level of this.levels) {
      if (missing === 0) break;
      if (locationId !== null && level.locationId !== locationId) continue;
      const taken = Math.min(missing, Math.max(0, promisable(level)));
      if (taken === 0) continue;
      parts.push({ locationId: level.locationId, quantity: taken });
      missing -= taken;
    }
    return missing === 0 ? parts : null;
  }

  book(level: Level, request: MovementRequest): void {
    this.#sequence += 1;
    this.movements.push(book(level, this.#sequence, request));
    this.touched.add(level);
  }

  /** A change of the level that moves no units. */
  touch(level: Level): void {
    this.touched.add(level);
  }

  bookClaim(
    claim: Claim,
    kind: "reserve" | "release" | "ship" | "ship_reversed",
    parts: readonly Part[],
    {
      reason,
      as,
      actorId = null,
    }: {
      readonly reason: string;
      readonly as: Parameters<typeof claimOperationId>[1];
      readonly actorId?: UserId | null;
    },
  ): void {
    for (const { locationId, quantity } of parts) {
      this.book(this.levelOf(claim, locationId), {
        kind,
        quantity,
        reason,
        operationId: claimOperationId(claim, as),
        reference: referenceOf(claim),
        actorId,
      });
    }
  }

  /** The level where a claim holds units. */
  levelOf(claim: Claim, locationId: LocationId): Level {
    const level = this.level(locationId);
    invariant(level !== undefined, `${reservationIdOf(claim)} is held at a location without a level`);
    return level;
  }

  numbers(): { readonly onHand: number; readonly available: number } {
    return {
      onHand: this.levels.reduce((sum, each) => sum + each.onHand, 0),
      available: this.levels.reduce((sum, each) => sum + available(each), 0),
    };
  }
}

export function referenceOf(claim: Claim): MovementRequest["reference"] {
  const type = claim.orderRef.startsWith("hold/") ? "hold" : "order_line";
  return { type, id: `${claim.orderRef}/${claim.lineId}` };
}

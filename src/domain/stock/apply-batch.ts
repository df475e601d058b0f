import { unreachable } from "../assert.ts";
import type { LocationId, OperationId, ReservationId } from "../ids.ts";
import { available, book, type Level, type Movement, type MovementRequest, promisable } from "./movement.ts";
import {
  type Claim,
  claimOperationId,
  inputOf,
  operationIdOf,
  reservationIdOf,
  type StockAnswer,
  type StockOperation,
} from "./operation.ts";
import { serveInTurn, type WaitingClaim } from "./shortage-queue.ts";

/**
 * The heart of the stock: what many requests for one SKU do to it, decided in one go.
 *
 * A claim on units goes through `waiting` (nobody could serve it yet), `held`, and ends as `shipped` or `released`;
 * a shipment may once be `reversed`. A claim that was released before it was asked for is `closed`: the asking, should
 * it still arrive, is refused. Requests that free or add units are decided first, in the order they came; then the
 * units go round in the fair order, newcomers taking their place among those who wait.
 */
export type ClaimState =
  | { readonly state: "held"; readonly quantity: number; readonly locationId: LocationId }
  | { readonly state: "shipped"; readonly quantity: number; readonly locationId: LocationId }
  | { readonly state: "reversed" | "released" | "closed" }
  | ({ readonly state: "waiting" } & WaitingClaim);

export interface AppliedOperation {
  readonly operationId: OperationId;
  /** What was asked, see `inputOf`. */
  readonly input: string;
  readonly answer: StockAnswer;
}

/** Everything about the SKU that deciding this batch needs. */
export interface StockState {
  /** In the order in which they are locked; the first is where units without a location are booked. */
  readonly levels: readonly Readonly<Level>[];
  /** The claims the operations name, as far as they are known. */
  readonly claims: ReadonlyMap<ReservationId, ClaimState>;
  /** Those of the operations that were applied before. */
  readonly applied: ReadonlyMap<OperationId, AppliedOperation>;
  /** The head of the queue, in the fair order. May be empty when nothing can become free. */
  readonly queue: readonly WaitingClaim[];
  /** True when more claims wait than `queue` holds. */
  readonly queueContinues: boolean;
}

export interface BatchResult {
  /** One for each operation, in their order. */
  readonly answers: readonly StockAnswer[];
  /** What was applied now and must be remembered. */
  readonly applied: readonly AppliedOperation[];
  readonly movements: readonly Movement[];
  /** The levels that changed, with their new numbers. */
  readonly levels: readonly Readonly<Level>[];
  /** New state of every claim that changed. */
  readonly claims: ReadonlyMap<ReservationId, { readonly claim: Claim; readonly is: ClaimState }>;
  /** Claims that waited before this batch and were served by it: their orders must be told. */
  readonly served: readonly WaitingClaim[];
  /** True when units changed hands otherwise than by a sale: what the channels offer must be compared. */
  readonly offerChanged: boolean;
  /** True when units may be left for claims that were not loaded: decide again. */
  readonly queueRemains: boolean;
}

export function applyBatch(state: StockState, operations: readonly StockOperation[]): BatchResult {
  return new Batch(state).decide(operations);
}

class Batch {
  readonly #state: StockState;
  readonly #levels: Level[];
  readonly #touched = new Set<Level>();
  readonly #claims: Map<ReservationId, ClaimState>;
  readonly #changed = new Map<ReservationId, { claim: Claim; is: ClaimState }>();
  readonly #applied = new Map<OperationId, AppliedOperation>();
  readonly #movements: Movement[] = [];
  readonly #served: WaitingClaim[] = [];
  #sequence: number;
  #offerChanged = false;

  constructor(state: StockState) {
    this.#state = state;
    this.#levels = state.levels.map((level) => ({ ...level }));
    this.#claims = new Map(state.claims);
    this.#sequence = Math.max(0, ...state.levels.map((level) => level.lastSequence));
  }

  decide(operations: readonly StockOperation[]): BatchResult {
    const newcomers = new Map<ReservationId, { operation: StockOperation; waiting: WaitingClaim }>();
    for (const operation of operations) {
      if (this.#answered(operation) !== null) continue;
      if (operation.kind === "reserve") {
        const id = reservationIdOf(operation.claim);
        if (!newcomers.has(id)) newcomers.set(id, { operation, waiting: waitingOnly(operation) });
      } else {
        this.#remember(operation, this.#apply(operation));
      }
    }
    this.#distribute(newcomers);
    this.#tellNumbersAfter();
    return {
      answers: operations.map((operation) => this.#answered(operation) ?? missingAnswer(operation)),
      applied: [...this.#applied.values()],
      movements: this.#movements,
      levels: this.#levels
        .filter((level) => this.#touched.has(level))
        .map((level) => ({ ...level, version: level.version + 1 })),
      claims: this.#changed,
      served: this.#served,
      offerChanged: this.#offerChanged,
      queueRemains:
        this.#state.queueContinues &&
        this.#queueMoved() &&
        this.#levels.some((level) => promisable(level) > 0),
    };
  }

  /** The answer an operation has already, from an earlier batch or from its twin in this one. */
  #answered(operation: StockOperation): StockAnswer | null {
    const id = operationIdOf(operation);
    const earlier = this.#state.applied.get(id) ?? this.#applied.get(id);
    if (earlier === undefined) return null;
    return earlier.input === inputOf(operation)
      ? earlier.answer
      : { outcome: "refused", reason: "operation_id_reused" };
  }

  #remember(operation: StockOperation, answer: StockAnswer): void {
    const operationId = operationIdOf(operation);
    this.#applied.set(operationId, { operationId, input: inputOf(operation), answer });
  }

  #apply(operation: Exclude<StockOperation, { kind: "reserve" }>): StockAnswer {
    switch (operation.kind) {
      case "release":
        return this.#release(operation.claim, operation.reason);
      case "ship":
        return this.#ship(operation);
      case "reverse":
        return this.#reverse(operation.claim, operation.reason);
      case "rank":
        return this.#rank(operation.claim, operation.paidAt);
      case "adjust":
        return this.#adjust(operation);
      case "open":
        return this.#open(operation);
      default:
        return unreachable(operation);
    }
  }

  #release(claim: Claim, reason: string): StockAnswer {
    const known = this.#claims.get(reservationIdOf(claim));
    switch (known?.state) {
      case undefined:
        this.#become(claim, { state: "closed" });
        return { outcome: "closed" };
      case "waiting":
        this.#noteOversale();
        this.#become(claim, { state: "released" });
        return { outcome: "withdrawn" };
      case "held":
        this.#bookClaim(claim, "release", known, reason);
        this.#become(claim, { state: "released" });
        return { outcome: "released" };
      case "closed":
      case "released":
      case "reversed":
        return { outcome: "closed" };
      case "shipped":
        return { outcome: "refused", reason: "already_shipped" };
    }
  }

  #ship(operation: Extract<StockOperation, { kind: "ship" }>): StockAnswer {
    const { claim } = operation;
    const known = this.#claims.get(reservationIdOf(claim));
    if (known?.state === "shipped") return { outcome: "shipped" };
    if (known?.state === "held") {
      // Promised as a backorder, and nobody has counted the units in: they have left, so they were there.
      const level = this.#levels.find((candidate) => candidate.locationId === known.locationId);
      if (level !== undefined) this.#correctMissing(level, known.quantity - level.onHand, operation);
      this.#bookClaim(claim, "ship", known, "Shipment arranged");
      this.#become(claim, { state: "shipped", quantity: known.quantity, locationId: known.locationId });
      return { outcome: "shipped" };
    }
    if (
      !operation.outside ||
      known?.state === "closed" ||
      known?.state === "released" ||
      known?.state === "reversed"
    ) {
      return { outcome: "refused", reason: "nothing_held" };
    }
    return this.#shipOutside(operation);
  }

  /** It has left, whatever we had promised: what is missing on hand is corrected first, so that every unit is explained. */
  #shipOutside(operation: Extract<StockOperation, { kind: "ship" }>): StockAnswer {
    const { claim, quantity } = operation;
    const level = this.#levelWith(quantity, null) ?? this.#levels[0];
    if (level === undefined) return { outcome: "refused", reason: "unknown_location" };
    const spare = Math.min(level.onHand, Math.max(0, promisable(level)));
    this.#correctMissing(level, quantity - spare, operation);
    const held = { quantity, locationId: level.locationId };
    this.#bookClaim(claim, "reserve", held, "Shipped outside", "ship");
    this.#bookClaim(claim, "ship", held, "Shipped outside");
    this.#become(claim, { state: "shipped", ...held });
    return { outcome: "shipped" };
  }

  #correctMissing(level: Level, missing: number, operation: Extract<StockOperation, { kind: "ship" }>): void {
    if (missing <= 0) return;
    this.#book(level, {
      kind: "channel_correction",
      quantity: missing,
      reason: "Shipped outside without stock of ours",
      operationId: operationIdOf(operation),
      reference: lineReference(operation.claim),
    });
    this.#offerChanged = true;
  }

  #reverse(claim: Claim, reason: string): StockAnswer {
    const known = this.#claims.get(reservationIdOf(claim));
    if (known?.state === "reversed") return { outcome: "reversed" };
    if (known?.state !== "shipped") return { outcome: "refused", reason: "not_shipped" };
    this.#bookClaim(claim, "reverse", known, reason);
    this.#become(claim, { state: "reversed" });
    return { outcome: "reversed" };
  }

  #rank(claim: Claim, paidAt: string): StockAnswer {
    const known = this.#claims.get(reservationIdOf(claim));
    if (known?.state === "waiting") {
      this.#become(claim, { ...known, rank: { ...known.rank, paidAt } });
    }
    return { outcome: "ranked" };
  }

  #adjust(operation: Extract<StockOperation, { kind: "adjust" }>): StockAnswer {
    const level =
      operation.locationId === null
        ? this.#levels[0]
        : this.#levels.find((candidate) => candidate.locationId === operation.locationId);
    if (level === undefined) return { outcome: "refused", reason: "unknown_location" };
    if (level.onHand + operation.quantity < 0) return { outcome: "refused", reason: "below_zero" };
    if (operation.quantity < 0 && promisable(level) + operation.quantity < 0) {
      return { outcome: "refused", reason: "below_reserved" };
    }
    this.#book(level, {
      kind: "adjust",
      quantity: operation.quantity,
      reason: operation.reason,
      operationId: operationIdOf(operation),
      reference: { type: "adjustment", id: operation.adjustmentId },
      actorId: operation.actorId,
    });
    this.#offerChanged = true;
    return { outcome: "adjusted", ...this.#numbers() };
  }

  /** Who adjusts is told the numbers after the whole batch: units that were added may have gone to the queue at once. */
  #tellNumbersAfter(): void {
    for (const [id, applied] of this.#applied) {
      if (applied.answer.outcome !== "adjusted") continue;
      this.#applied.set(id, { ...applied, answer: { outcome: "adjusted", ...this.#numbers() } });
    }
  }

  #numbers(): { readonly onHand: number; readonly available: number } {
    return {
      onHand: this.#levels.reduce((sum, each) => sum + each.onHand, 0),
      available: this.#levels.reduce((sum, each) => sum + available(each), 0),
    };
  }

  #open(operation: Extract<StockOperation, { kind: "open" }>): StockAnswer {
    const level = this.#levels.find((candidate) => candidate.locationId === operation.locationId);
    if (level === undefined) return { outcome: "refused", reason: "unknown_location" };
    if (operation.quantity > 0) {
      this.#book(level, {
        kind: "opening",
        quantity: operation.quantity,
        reason: "Opening stock from the channel",
        operationId: operationIdOf(operation),
        reference: { type: "opening", id: operation.listingId },
      });
    }
    return { outcome: "opened" };
  }

  /** Lets what is free go round: the queue and the newcomers, in the fair order. */
  #distribute(newcomers: Map<ReservationId, { operation: StockOperation; waiting: WaitingClaim }>): void {
    for (const [id, { operation }] of newcomers) {
      const known = this.#claims.get(id);
      if (known === undefined) continue;
      newcomers.delete(id);
      this.#remember(operation, answerFor(known));
    }
    const queue = this.#queueNow();
    const horizon = this.#state.queueContinues ? (this.#state.queue.at(-1) ?? null) : null;
    serveInTurn([...queue, ...[...newcomers.values()].map(({ waiting }) => waiting)], horizon, (waiting) => {
      const level = this.#levelWith(waiting.quantity, waiting.locationId);
      if (level === undefined) return false;
      const newcomer = newcomers.get(reservationIdOf(waiting.claim));
      const held = { quantity: waiting.quantity, locationId: level.locationId };
      this.#bookClaim(
        waiting.claim,
        "reserve",
        held,
        "Reserved for an order",
        newcomer ? "reserve" : "serve",
      );
      this.#become(waiting.claim, { state: "held", ...held });
      if (newcomer === undefined) {
        this.#served.push(waiting);
        this.#noteOversale();
      } else this.#remember(newcomer.operation, { outcome: "reserved", locationId: level.locationId });
      return true;
    });
    for (const [id, { operation, waiting }] of newcomers) {
      if (this.#claims.has(id)) continue;
      this.#become(waiting.claim, { state: "waiting", ...waiting });
      this.#remember(operation, { outcome: "short" });
    }
  }

  /**
   * Somebody has waited, so the channel has sold more than there is, and which of its orders it counts against stock is
   * not which of them got units here. When one of them ends or is served, the channel may offer a unit that is promised.
   */
  #noteOversale(): void {
    this.#offerChanged = true;
  }

  /** The queue with what this batch has withdrawn, shipped or moved up in it. */
  #queueNow(): WaitingClaim[] {
    const queue = this.#state.queue.flatMap((waiting) => {
      const known = this.#claims.get(reservationIdOf(waiting.claim));
      if (known === undefined) return [waiting];
      return known.state === "waiting" ? [known] : [];
    });
    const present = new Set(queue.map((waiting) => reservationIdOf(waiting.claim)));
    for (const [id, known] of this.#claims) {
      if (known.state === "waiting" && !present.has(id)) queue.push(known);
    }
    return queue;
  }

  /** True when somebody of those at the head was served, left or got another place: there is a new head to look at. */
  #queueMoved(): boolean {
    return this.#state.queue.some(({ claim }) => this.#changed.has(reservationIdOf(claim)));
  }

  #levelWith(quantity: number, locationId: LocationId | null): Level | undefined {
    return this.#levels.find(
      (level) => (locationId === null || level.locationId === locationId) && promisable(level) >= quantity,
    );
  }

  #become(claim: Claim, is: ClaimState): void {
    const id = reservationIdOf(claim);
    this.#claims.set(id, is);
    this.#changed.set(id, { claim, is });
  }

  #bookClaim(
    claim: Claim,
    kind: "reserve" | "release" | "ship" | "reverse",
    held: { readonly quantity: number; readonly locationId: LocationId },
    reason: string,
    as: Parameters<typeof claimOperationId>[1] = kind,
  ): void {
    const level = this.#levels.find((candidate) => candidate.locationId === held.locationId);
    if (level === undefined)
      throw new Error(`${reservationIdOf(claim)} is held at a location without a level`);
    this.#book(level, {
      kind: kind === "reverse" ? "ship_reversed" : kind,
      quantity: held.quantity,
      reason,
      operationId: claimOperationId(claim, as),
      reference: lineReference(claim),
    });
  }

  #book(level: Level, request: MovementRequest): void {
    this.#sequence += 1;
    this.#movements.push(book(level, this.#sequence, request));
    this.#touched.add(level);
  }
}

/** What a reserve that comes under a new id finds: only a claim that was closed first can be met here. */
function answerFor(known: ClaimState): StockAnswer {
  switch (known.state) {
    case "held":
      return { outcome: "reserved", locationId: known.locationId };
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

function waitingOnly({ claim, quantity, rank, locationId }: WaitingClaim): WaitingClaim {
  return { claim, quantity, rank, locationId };
}

function lineReference(claim: Claim): { readonly type: "order_line"; readonly id: string } {
  return { type: "order_line", id: `${claim.orderRef}/${claim.lineId}` };
}

function missingAnswer(operation: StockOperation): never {
  throw new Error(`${operationIdOf(operation)} was decided without an answer`);
}

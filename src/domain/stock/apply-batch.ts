import type { OperationId, ReservationId } from "../ids.ts";
import { applyChange } from "./changes.ts";
import { answerToKnown, applyToClaim, noteOversale } from "./claims.ts";
import { type ChangedClaim, type ClaimState, Draft, type Transfer } from "./draft.ts";
import { type Level, type Movement, promisable } from "./movement.ts";
import { type OfferChange, offerChangeOf } from "./offer-change.ts";
import {
  type Claim,
  inputOf,
  operationIdOf,
  reservationIdOf,
  type StockAnswer,
  type StockOperation,
  type WaitingClaim,
} from "./operation.ts";
import { serveInTurn } from "./shortage-queue.ts";

/**
 * The heart of the stock: what many requests for one SKU do to it, decided in one go.
 *
 * Requests that free, add or take away units are decided first, in the order they came (`claims.ts`, `changes.ts`); then the
 * units go round in the fair order, newcomers taking their place among those who wait; what is left may be kept by holds.
 */
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
  /** The claims the operations name, as far as they are known; a released one with its next generation. */
  readonly claims: ReadonlyMap<ReservationId, ClaimState>;
  /** The transfers the operations name, as far as they are known. */
  readonly transfers: ReadonlyMap<string, Transfer>;
  /** Those of the operations that were applied before. */
  readonly applied: ReadonlyMap<OperationId, AppliedOperation>;
  /** The head of the queue, in the fair order. May be empty when nothing can become free. */
  readonly queue: readonly WaitingClaim[];
  /** True when more claims wait than `queue` holds. */
  readonly queueContinues: boolean;
  /** What one shop sells must be told to the others. */
  readonly soldInSeveralShops: boolean;
  /** Requests to reserve whose sales were told to the other shops when their orders came: nothing changes for these. */
  readonly announced: ReadonlySet<OperationId>;
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
  readonly claims: ReadonlyMap<ReservationId, ChangedClaim>;
  /** New state of every transfer that changed. */
  readonly transfers: readonly Transfer[];
  /** Claims that waited before this batch and were served by it: their orders must be told. */
  readonly served: readonly WaitingClaim[];
  /** Claims that held units before this batch and wait now, by their new generation: their orders must be told. */
  readonly leftShort: readonly Claim[];
  /** What the channels offer must be compared; null when it need not. */
  readonly offerChange: OfferChange | null;
  /** True when units may be left for claims that were not loaded: decide again. */
  readonly queueRemains: boolean;
}

export function applyBatch(state: StockState, operations: readonly StockOperation[]): BatchResult {
  return new Batch(state).decide(operations);
}

type Reserve = Extract<StockOperation, { kind: "reserve" }>;
type Newcomers = Map<ReservationId, { readonly operation: Reserve; readonly waiting: WaitingClaim }>;

class Batch {
  readonly #state: StockState;
  readonly #draft: Draft;
  readonly #applied = new Map<OperationId, AppliedOperation>();
  readonly #served: WaitingClaim[] = [];

  constructor(state: StockState) {
    this.#state = state;
    this.#draft = new Draft(state);
  }

  decide(operations: readonly StockOperation[]): BatchResult {
    const newcomers: Newcomers = new Map();
    for (const operation of operations) {
      if (this.#answered(operation) !== null || operation.kind === "hold") continue;
      if (operation.kind === "reserve") {
        const id = reservationIdOf(operation.claim);
        if (!newcomers.has(id)) newcomers.set(id, { operation, waiting: waitingOnly(operation) });
      } else if ("claim" in operation) this.#remember(operation, applyToClaim(this.#draft, operation));
      else this.#remember(operation, applyChange(this.#draft, operation));
    }
    this.#distribute(newcomers);
    for (const operation of operations) {
      if (operation.kind !== "hold" || this.#answered(operation) !== null) continue;
      // After the queue, and only when it is empty: a hold keeps nothing from who waits.
      const answer: StockAnswer =
        this.#state.queueContinues || this.#queueNow().length > 0
          ? { outcome: "refused", reason: "others_wait" }
          : applyChange(this.#draft, operation);
      this.#remember(operation, answer);
    }
    this.#tellNumbersAfter();
    return this.#result(operations);
  }

  #result(operations: readonly StockOperation[]): BatchResult {
    const draft = this.#draft;
    const news = draft.movements.filter(({ operationId }) => !this.#state.announced.has(operationId));
    return {
      answers: operations.map((operation) => this.#answered(operation) ?? missingAnswer(operation)),
      applied: [...this.#applied.values()],
      movements: draft.movements,
      levels: draft.levels
        .filter((level) => draft.touched.has(level))
        .map((level) => ({ ...level, version: level.version + 1 })),
      claims: draft.changedClaims,
      transfers: [...draft.changedTransfers.values()],
      served: this.#served,
      leftShort: draft.leftShort,
      offerChange: offerChangeOf(news, draft.offerChanged, this.#state.soldInSeveralShops),
      queueRemains:
        this.#state.queueContinues &&
        this.#queueMoved() &&
        draft.levels.some((level) => promisable(level) > 0),
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

  /** Who changes units by hand is told the numbers after the whole batch: what was added may have gone to the queue at once. */
  #tellNumbersAfter(): void {
    for (const [id, applied] of this.#applied) {
      if (applied.answer.outcome !== "adjusted") continue;
      this.#applied.set(id, { ...applied, answer: { outcome: "adjusted", ...this.#draft.numbers() } });
    }
  }

  /** Lets what is free go round: the queue and the newcomers, in the fair order. */
  #distribute(newcomers: Newcomers): void {
    for (const [id, { operation }] of newcomers) {
      const known = this.#draft.claimState(operation.claim);
      if (known === undefined) continue;
      newcomers.delete(id);
      this.#remember(operation, answerToKnown(known));
    }
    const queue = this.#queueNow();
    const horizon = this.#state.queueContinues ? (this.#state.queue.at(-1) ?? null) : null;
    serveInTurn([...queue, ...[...newcomers.values()].map(({ waiting }) => waiting)], horizon, (waiting) =>
      this.#serve(waiting, newcomers.get(reservationIdOf(waiting.claim))?.operation),
    );
    for (const { operation, waiting } of newcomers.values()) {
      if (this.#draft.claimState(waiting.claim) !== undefined) continue;
      this.#draft.become(waiting.claim, { state: "waiting", ...waiting });
      this.#remember(operation, { outcome: "short" });
    }
  }

  /** @param newcomer the request of one that has not waited yet. */
  #serve(waiting: WaitingClaim, newcomer: Reserve | undefined): boolean {
    const parts = this.#draft.partsFor(waiting.quantity, waiting.locationId);
    if (parts === null) return false;
    this.#draft.bookClaim(waiting.claim, "reserve", parts, {
      reason: "Reserved for an order",
      as: newcomer === undefined ? "serve" : "reserve",
    });
    this.#draft.become(waiting.claim, { state: "held", parts });
    if (newcomer === undefined) {
      this.#served.push(waiting);
      noteOversale(this.#draft);
    } else this.#remember(newcomer, { outcome: "reserved" });
    return true;
  }

  /** The queue with what this batch has withdrawn, shipped, moved up or put back in it. */
  #queueNow(): WaitingClaim[] {
    const queue = this.#state.queue.flatMap((waiting) => {
      const known = this.#draft.claimState(waiting.claim);
      if (known === undefined) return [waiting];
      return known.state === "waiting" ? [known] : [];
    });
    const present = new Set(queue.map((waiting) => reservationIdOf(waiting.claim)));
    const others = this.#draft.waitingClaims().filter(({ claim }) => !present.has(reservationIdOf(claim)));
    return [...queue, ...others];
  }

  /** True when somebody of those at the head was served, left or got another place: there is a new head to look at. */
  #queueMoved(): boolean {
    return this.#state.queue.some(({ claim }) => this.#draft.changedClaims.has(reservationIdOf(claim)));
  }
}

function waitingOnly({ claim, quantity, rank, locationId }: WaitingClaim): WaitingClaim {
  return { claim, quantity, rank, locationId };
}

function missingAnswer(operation: StockOperation): never {
  throw new Error(`${operationIdOf(operation)} was decided without an answer`);
}

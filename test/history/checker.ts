/**
 * Decides whether what clients saw of one SKU can be explained by one order of events: is the history linearizable?
 *
 * The ledger claims an order. So nothing has to be searched: the checker verifies that the claimed order is a legal life of
 * a bounded counter with holds, that each write that was promised is in it once and no other is, and that moments can be
 * found for its batches such that every answer, sight and refusal was true at a moment between its asking and its answer.
 * A history that is accepted has such moments, so it is linearizable; for one that is not, the reason is named.
 *
 * Moments: a batch becomes true at once, at a moment of its own. Between two batches lies a pause, in which the numbers
 * stand still. Pauses and batches make one row of steps: pause 0, batch 1, pause 1, batch 2, and so on. Each operation must
 * have happened on one of a set of steps (a write on its batch alone, a refusal wherever it was right) at a moment between
 * its asking and its answer. If moments of batches satisfy this, so do the earliest that do: they are found by moving
 * batches later only where an operation demands it.
 *
 * It shares no code with what it checks.
 */

export type Wish =
  /** Signed units. */
  | { readonly kind: "adjust"; readonly quantity: number }
  | { readonly kind: "receive" | "lost" | "hold"; readonly quantity: number }
  /** `basedOn`: the newest movement that was seen before counting. */
  | { readonly kind: "count"; readonly onHand: number; readonly basedOn: number }
  /** `hold`: the key of the operation that made the hold. */
  | { readonly kind: "release"; readonly hold: string }
  | { readonly kind: "read" };

export interface Sight {
  readonly onHand: number;
  readonly reserved: number;
  readonly available: number;
  /** Of the newest movement. */
  readonly sequence: number;
  /** Rises by one with each batch that moves something. */
  readonly version: number;
}

export const refusals = [
  "below_zero",
  "below_reserved",
  "not_enough",
  "others_wait",
  "version_changed",
  "no_such_hold",
] as const;
type Refusal = (typeof refusals)[number];

export type Answer =
  /** The numbers are those after the whole batch; null where the answer does not tell them. */
  | { readonly outcome: "done"; readonly onHand: number | null; readonly available: number | null }
  | { readonly outcome: "refused"; readonly reason: Refusal }
  | { readonly outcome: "seen"; readonly sight: Sight };

export interface Operation {
  /** Names it in the ledger. */
  readonly key: string;
  readonly client: string;
  /** Milliseconds on a clock that all clients share. */
  readonly askedAt: number;
  /** Null: nobody knows whether it happened. So is `answer` then, and never else. */
  readonly answeredAt: number | null;
  readonly wish: Wish;
  readonly answer: Answer | null;
}

export interface Movement {
  readonly sequence: number;
  readonly kind: string;
  readonly onHandEffect: number;
  readonly reservedEffect: number;
  readonly onHandBefore: number;
  readonly onHandAfter: number;
  readonly reservedBefore: number;
  readonly reservedAfter: number;
  /** Movements of one transaction have the same. */
  readonly batch: string;
  readonly cause:
    | { readonly by: "operation"; readonly key: string }
    /** A hold's end names the hold, by the key of the operation that made it. */
    | { readonly by: "release"; readonly hold: string }
    | { readonly by: "opening" }
    | { readonly by: "order"; readonly line: string };
}

export interface History {
  readonly operations: readonly Operation[];
  readonly ledger: readonly Movement[];
  /** Units of the largest order line that was placed meanwhile; 0 when none was, and then nobody ever waits. */
  readonly largestOrderLine: number;
}

export type Fault =
  | "sequence_gap"
  | "does_not_add_up"
  | "fewer_than_none"
  | "torn_batch"
  | "phantom_movement"
  | "doubled_effect"
  | "refused_but_applied"
  | "other_effect"
  | "lost_effect"
  | "count_of_old_numbers"
  | "against_real_time"
  | "answer_disagrees"
  | "inside_a_batch"
  | "sight_disagrees"
  | "version_disagrees"
  | "stale_sight"
  | "early_sight"
  | "refusal_never_right";

export type Verdict =
  | { readonly linearizable: true }
  | { readonly linearizable: false; readonly fault: Fault; readonly detail: string };

export function checkHistory(history: History): Verdict {
  try {
    new Checker(history).check();
    return { linearizable: true };
  } catch (error) {
    if (error instanceof Rejection) return { linearizable: false, fault: error.fault, detail: error.message };
    throw error;
  }
}

class Rejection extends Error {
  readonly fault: Fault;

  constructor(fault: Fault, detail: string) {
    super(detail);
    this.fault = fault;
  }
}

function reject(fault: Fault, detail: string): never {
  throw new Rejection(fault, detail);
}

/** The numbers after so many movements. */
interface State {
  readonly onHand: number;
  readonly reserved: number;
}

/** The steps on which an operation may have happened: those from `from` to `to` for which `isRight` holds. */
interface Demand {
  readonly operation: Operation;
  readonly from: number;
  readonly to: number;
  readonly isRight?: (step: number) => boolean;
}

/** Batches count from 1; pause g comes after batch g. */
const batchStep = (batch: number): number => 2 * batch - 1;
const pauseStep = (batch: number): number => 2 * batch;

class Checker {
  readonly #history: History;
  readonly #operations: ReadonlyMap<string, Operation>;
  /** At index s, the state after movement s; at 0 that before the first. */
  readonly #states: State[] = [];
  /** At index s, the batch of movement s. */
  readonly #batchOf: number[] = [0];
  /** At index b, the last movement of batch b. */
  readonly #lastOf: number[] = [0];
  readonly #effects = new Map<string, Movement>();
  readonly #releases = new Map<string, Movement>();

  constructor(history: History) {
    this.#history = history;
    this.#operations = new Map(history.operations.map((operation) => [operation.key, operation]));
  }

  check(): void {
    this.#readLedger();
    this.#matchEffects();
    this.#checkOrders();
    const moments = new Moments(this.#lastOf.length - 1);
    moments.satisfy(this.#writes(), "against_real_time", "against_real_time");
    this.#checkAnswers();
    moments.satisfy(this.#sights(), "stale_sight", "early_sight");
    moments.satisfy(this.#refusals(), "refusal_never_right", "refusal_never_right");
  }

  /** The claimed order by itself: gapless, each line follows from the one before, and never a unit too few. */
  #readLedger(): void {
    const batches = new Set<string>();
    let before: Movement | undefined;
    for (const [index, movement] of this.#history.ledger.entries()) {
      const { sequence, batch } = movement;
      if (sequence !== index + 1) reject("sequence_gap", `${index + 1} is missing before ${sequence}`);
      if (before === undefined) {
        this.#states.push({ onHand: movement.onHandBefore, reserved: movement.reservedBefore });
      }
      const follows =
        (before === undefined ||
          (before.onHandAfter === movement.onHandBefore &&
            before.reservedAfter === movement.reservedBefore)) &&
        movement.onHandBefore + movement.onHandEffect === movement.onHandAfter &&
        movement.reservedBefore + movement.reservedEffect === movement.reservedAfter;
      if (!follows) reject("does_not_add_up", `movement ${sequence}`);
      if (movement.reservedAfter < 0 || movement.reservedAfter > movement.onHandAfter) {
        reject(
          "fewer_than_none",
          `movement ${sequence}: ${movement.onHandAfter} on hand, ${movement.reservedAfter} reserved`,
        );
      }
      if (batch !== before?.batch) {
        if (batches.has(batch)) reject("torn_batch", `batch ${batch} begins again at movement ${sequence}`);
        batches.add(batch);
        this.#lastOf.push(sequence);
      }
      this.#batchOf.push(batches.size);
      this.#lastOf[batches.size] = sequence;
      this.#states.push({ onHand: movement.onHandAfter, reserved: movement.reservedAfter });
      before = movement;
    }
    if (before === undefined) this.#states.push({ onHand: 0, reserved: 0 });
  }

  /** Each definite success is in the ledger once, as it was wished; no refusal is, and nothing that nobody asked for. */
  #matchEffects(): void {
    for (const movement of this.#history.ledger) this.#noteCause(movement);
    for (const operation of this.#history.operations) this.#checkIsThere(operation);
    for (const [key, movement] of this.#effects) this.#checkIsAsWished(this.#operations.get(key), movement);
    for (const [hold, movement] of this.#releases) this.#checkEndsHold(hold, movement);
  }

  #noteCause(movement: Movement): void {
    const { cause, sequence } = movement;
    if (cause.by === "operation") {
      if (!this.#operations.has(cause.key)) {
        reject("phantom_movement", `movement ${sequence} names ${cause.key}`);
      }
      if (this.#effects.has(cause.key)) reject("doubled_effect", `${cause.key} again at ${sequence}`);
      this.#effects.set(cause.key, movement);
    } else if (cause.by === "release") {
      if (this.#releases.has(cause.hold)) reject("doubled_effect", `${cause.hold} ends again at ${sequence}`);
      this.#releases.set(cause.hold, movement);
    } else if (cause.by === "opening" && sequence > 1) {
      reject("phantom_movement", `a second opening at ${sequence}`);
    }
  }

  #checkIsThere(operation: Operation): void {
    const { wish, key, answer } = operation;
    const isThere = wish.kind === "release" ? this.#releases.has(wish.hold) : this.#effects.has(key);
    if (answer?.outcome === "refused" && this.#effects.has(key)) {
      reject("refused_but_applied", describe(operation));
    }
    if (answer?.outcome !== "done" || isThere) return;
    // A count that found what was thought moves nothing.
    if (wish.kind === "count" && this.#at(wish.basedOn).onHand === wish.onHand) return;
    reject("lost_effect", describe(operation));
  }

  #checkIsAsWished(operation: Operation | undefined, movement: Movement): void {
    if (operation === undefined) return;
    const wanted = effectOf(operation.wish, movement);
    const isWanted =
      movement.kind === wanted?.kind &&
      movement.onHandEffect === wanted.onHand &&
      movement.reservedEffect === wanted.reserved;
    if (operation.wish.kind === "count" && operation.wish.basedOn !== movement.sequence - 1) {
      reject("count_of_old_numbers", `${describe(operation)} at movement ${movement.sequence}`);
    }
    if (!isWanted) reject("other_effect", `${describe(operation)} at movement ${movement.sequence}`);
  }

  #checkEndsHold(hold: string, movement: Movement): void {
    const held = this.#effects.get(hold);
    const isHeld = held?.kind === "reserve" && held.sequence < movement.sequence;
    if (!isHeld || !this.#releasesOf(hold).some(({ answer }) => answer?.outcome !== "refused")) {
      reject("phantom_movement", `nobody asked for movement ${movement.sequence}, which ends ${hold}`);
    }
    const isWhole =
      movement.kind === "release" &&
      movement.onHandEffect === 0 &&
      movement.reservedEffect === -held.reservedEffect;
    if (!isWhole) reject("other_effect", `the end of ${hold} at movement ${movement.sequence}`);
  }

  /** Orders are others' effects: right at any time, but each line's units are promised first, and given back or sent once. */
  #checkOrders(): void {
    const held = new Map<string, number>();
    for (const { cause, kind, sequence, onHandEffect, reservedEffect } of this.#history.ledger) {
      if (cause.by !== "order") continue;
      const units = held.get(cause.line) ?? 0;
      const isRight =
        (kind === "reserve" && onHandEffect === 0 && reservedEffect > 0) ||
        (kind === "release" && onHandEffect === 0 && units + reservedEffect >= 0) ||
        (kind === "ship" && onHandEffect === reservedEffect && units + reservedEffect >= 0) ||
        (kind === "ship_reversed" && onHandEffect > 0 && reservedEffect === 0);
      const fits = isRight && Math.max(onHandEffect, reservedEffect) <= this.#history.largestOrderLine;
      if (!fits) reject("phantom_movement", `${kind} of ${cause.line} at ${sequence}`);
      held.set(cause.line, units + reservedEffect);
    }
  }

  #writes(): readonly Demand[] {
    return this.#history.operations.flatMap((operation): Demand[] => {
      const { wish, key } = operation;
      const effect = this.#effects.get(key);
      if (effect !== undefined) {
        const step = batchStep(this.#batchAt(effect.sequence));
        return [{ operation, from: step, to: step }];
      }
      if (wish.kind === "release") return this.#releaseDemands(operation, wish.hold);
      return [];
    });
  }

  /** Who is told that a hold is over may have ended it, or come later; the first who asked is not later than its end. */
  #releaseDemands(operation: Operation, hold: string): Demand[] {
    const release = this.#releases.get(hold);
    if (release === undefined) return [];
    const step = batchStep(this.#batchAt(release.sequence));
    const asked = this.#releasesOf(hold).filter(({ answer }) => answer?.outcome !== "refused");
    const isFirst = asked.every(({ askedAt }) => askedAt >= operation.askedAt);
    const demands: Demand[] = [];
    if (isFirst) demands.push({ operation: { ...operation, answeredAt: null }, from: step, to: step });
    if (operation.answer?.outcome === "done") {
      demands.push({ operation, from: step, to: Number.POSITIVE_INFINITY });
    }
    return demands;
  }

  /** The numbers of an answer are those after the batch that held it. */
  #checkAnswers(): void {
    for (const operation of this.#history.operations) {
      const effect = this.#effects.get(operation.key);
      if (operation.answer?.outcome !== "done" || effect === undefined) continue;
      const last = this.#lastOf[this.#batchAt(effect.sequence)] ?? 0;
      if (!agrees(operation.answer, this.#at(last))) {
        reject("answer_disagrees", `${describe(operation)} was told after movement ${last}`);
      }
    }
  }

  /** Reads, and counts that moved nothing: each names the movement up to which it saw. */
  #sights(): readonly Demand[] {
    let offset: number | null = null;
    const demands: Demand[] = [];
    for (const operation of this.#history.operations) {
      const { answer, wish } = operation;
      if (answer?.outcome === "seen") {
        const { sight } = answer;
        const pause = this.#pauseAfter(sight.sequence, operation);
        const state = this.#at(sight.sequence);
        const isTrue =
          sight.onHand === state.onHand &&
          sight.reserved === state.reserved &&
          sight.available === state.onHand - state.reserved;
        if (!isTrue) reject("sight_disagrees", describe(operation));
        offset ??= sight.version - pause;
        if (sight.version !== pause + offset) reject("version_disagrees", describe(operation));
        demands.push({ operation, from: pauseStep(pause), to: pauseStep(pause) });
      } else if (answer?.outcome === "done" && wish.kind === "count" && !this.#effects.has(operation.key)) {
        demands.push(this.#stillCount(operation, answer, wish.basedOn));
      }
    }
    return demands;
  }

  /** It stood still where it was based, alone or as the first of the batch that came next. */
  #stillCount(operation: Operation, answer: Extract<Answer, { outcome: "done" }>, basedOn: number): Demand {
    const pause = this.#pauseAfter(basedOn, operation);
    const next = this.#lastOf[pause + 1];
    if (agrees(answer, this.#at(basedOn))) {
      const isAlsoNext = next !== undefined && agrees(answer, this.#at(next));
      return { operation, from: pauseStep(pause), to: isAlsoNext ? batchStep(pause + 1) : pauseStep(pause) };
    }
    if (next === undefined || !agrees(answer, this.#at(next))) {
      reject("answer_disagrees", describe(operation));
    }
    return { operation, from: batchStep(pause + 1), to: batchStep(pause + 1) };
  }

  #refusals(): readonly Demand[] {
    // The stock was opened before anybody could ask.
    const opened = this.#history.ledger[0]?.cause.by === "opening" ? pauseStep(1) : 0;
    return this.#history.operations.flatMap((operation): Demand[] => {
      if (operation.answer?.outcome !== "refused") return [];
      const { reason } = operation.answer;
      const isRight = (step: number): boolean => {
        // In a pause its numbers count; within a batch all of it may have been decided, or part of it.
        const first = this.#lastOf[Math.floor(step / 2)] ?? 0;
        const last = this.#lastOf[Math.ceil(step / 2)] ?? 0;
        for (let sequence = first; sequence <= last; sequence += 1) {
          if (this.#isRefusalRight(operation.wish, reason, sequence)) return true;
        }
        return false;
      };
      return [{ operation, from: opened, to: Number.POSITIVE_INFINITY, isRight }];
    });
  }

  #isRefusalRight(wish: Wish, reason: Refusal, sequence: number): boolean {
    const { onHand, reserved } = this.#at(sequence);
    switch (wish.kind) {
      case "adjust":
      case "receive":
      case "lost": {
        const units = wish.kind === "lost" ? -wish.quantity : wish.quantity;
        if (reason === "below_zero") return onHand + units < 0;
        return (
          reason === "below_reserved" && units < 0 && onHand + units >= 0 && onHand - reserved + units < 0
        );
      }
      case "hold":
        if (reason === "not_enough") return onHand - reserved < wish.quantity;
        return reason === "others_wait" && onHand - reserved < this.#history.largestOrderLine;
      case "count":
        if (reason === "version_changed") return sequence > wish.basedOn;
        return reason === "below_reserved" && sequence === wish.basedOn && reserved > wish.onHand;
      case "release":
        return reason === "no_such_hold" && sequence < (this.#effects.get(wish.hold)?.sequence ?? Infinity);
      case "read":
        return false;
    }
  }

  #releasesOf(hold: string): readonly Operation[] {
    this.#releasesByHold ??= groupReleases(this.#history.operations);
    return this.#releasesByHold.get(hold) ?? [];
  }
  #releasesByHold: Map<string, Operation[]> | undefined;

  #at(sequence: number): State {
    return this.#states[sequence] ?? reject("sight_disagrees", `there is no movement ${sequence}`);
  }

  #batchAt(sequence: number): number {
    return this.#batchOf[sequence] ?? reject("sight_disagrees", `there is no movement ${sequence}`);
  }

  /** The pause in which a movement was the newest one. */
  #pauseAfter(sequence: number, operation: Operation): number {
    const batch = this.#batchAt(sequence);
    if (this.#lastOf[batch] !== sequence) {
      reject(
        "inside_a_batch",
        `${describe(operation)} saw movement ${sequence} without the rest of its batch`,
      );
    }
    return batch;
  }
}

/** Moments of the batches, the earliest that satisfy what has been demanded so far. */
class Moments {
  /** At index b, the moment of batch b, and whose asking made it so late. */
  readonly #batches: { at: number; because: Operation | null }[];
  readonly #demands: Demand[] = [];

  constructor(batches: number) {
    this.#batches = Array.from({ length: batches + 1 }, () => ({
      at: Number.NEGATIVE_INFINITY,
      because: null,
    }));
  }

  /**
   * Adds demands and moves batches later until all demands, the earlier ones included, are met.
   *
   * @param overtaken the fault of one of these that is put before something that had been answered when it was asked.
   * @param tooLate the fault of one of these that is put after something that had not been asked when it was answered.
   */
  satisfy(demands: readonly Demand[], overtaken: Fault, tooLate: Fault): void {
    const added = new Set(demands.map(({ operation }) => operation.key));
    this.#demands.push(...demands);
    this.#demands.sort((one, other) => one.operation.askedAt - other.operation.askedAt);
    let hasMoved = true;
    while (hasMoved) {
      hasMoved = false;
      for (const demand of this.#demands) {
        const outcome = this.#meet(demand);
        if (outcome === "moved") hasMoved = true;
        if (outcome !== "impossible") continue;
        const because = this.#batches[Math.ceil(demand.from / 2)]?.because ?? null;
        reject(
          because !== null && added.has(because.key) ? overtaken : tooLate,
          `${describe(demand.operation)} cannot have happened while it was under way` +
            (because === null ? "" : `, since before it comes ${describe(because)}`),
        );
      }
    }
  }

  /** Takes the latest of its steps that begins before its answer: that moves the batches least. */
  #meet({ operation, from, to, isRight }: Demand): "met" | "moved" | "impossible" {
    const answeredAt = operation.answeredAt ?? Number.POSITIVE_INFINITY;
    for (let step = Math.min(to, this.#lastStepBy(answeredAt)); step >= from; step -= 1) {
      if (isRight?.(step) === false) continue;
      return this.#moveEnd(step, operation) ? "moved" : "met";
    }
    return "impossible";
  }

  /** A batch begins and ends at its moment; a pause ends at the next batch's. */
  #moveEnd(step: number, because: Operation): boolean {
    const { askedAt: at } = because;
    let hasMoved = false;
    for (let index = Math.floor(step / 2) + 1; index < this.#batches.length; index += 1) {
      const batch = this.#batches[index];
      if (batch === undefined || batch.at >= at) break;
      Object.assign(batch, { at, because });
      hasMoved = true;
    }
    return hasMoved;
  }

  /** The pause after the last batch whose moment is not later. */
  #lastStepBy(time: number): number {
    let low = 0;
    let high = this.#batches.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#batches[middle]?.at ?? 0) <= time) low = middle;
      else high = middle - 1;
    }
    return pauseStep(low);
  }
}

/** What a wish does to the numbers; null: nothing by a movement of its own. */
function effectOf(
  wish: Wish,
  { onHandBefore }: Movement,
): { readonly kind: string; readonly onHand: number; readonly reserved: number } | null {
  switch (wish.kind) {
    case "adjust":
      return { kind: "adjust", onHand: wish.quantity, reserved: 0 };
    case "receive":
      return { kind: "receive", onHand: wish.quantity, reserved: 0 };
    case "lost":
      return { kind: "lost", onHand: -wish.quantity, reserved: 0 };
    case "count":
      return { kind: "adjust", onHand: wish.onHand - onHandBefore, reserved: 0 };
    case "hold":
      return { kind: "reserve", onHand: 0, reserved: wish.quantity };
    case "release":
    case "read":
      return null;
  }
}

function agrees(answer: Extract<Answer, { outcome: "done" }>, { onHand, reserved }: State): boolean {
  return (
    (answer.onHand === null || answer.onHand === onHand) &&
    (answer.available === null || answer.available === onHand - reserved)
  );
}

function groupReleases(operations: readonly Operation[]): Map<string, Operation[]> {
  const byHold = new Map<string, Operation[]>();
  for (const operation of operations) {
    if (operation.wish.kind !== "release") continue;
    const known = byHold.get(operation.wish.hold);
    if (known === undefined) byHold.set(operation.wish.hold, [operation]);
    else known.push(operation);
  }
  return byHold;
}

function describe({ key, client, wish, answer, askedAt, answeredAt }: Operation): string {
  const until = answeredAt === null ? "never" : answeredAt.toFixed(3);
  return `${key} of ${client} (${JSON.stringify(wish)} → ${JSON.stringify(answer)}, ${askedAt.toFixed(3)} to ${until})`;
}

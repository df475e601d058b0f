import type { Random } from "../support/random.ts";
import type { Answer, History, Movement, Operation, Wish } from "./checker.ts";

/**
 * Histories of a pretended stock that is right: clients ask at the same time, what has come in is applied as one batch, and
 * answers come late or never. What is pretended is told by this file alone, so that the checker is not its own witness.
 */
export function makeUpHistory(random: Random): History {
  const shop = new PretendedStock(random, random.chance(0.5) ? random.whole(1, 4) : 0);
  const clients = random.whole(2, 6);
  for (let client = 1; client <= clients; client += 1)
    shop.addClient(`client ${client}`, random.whole(12, 25));
  return shop.run();
}

interface Request {
  readonly key: string;
  readonly wish: Wish;
  readonly answered: (answer: Answer) => void;
}

type OrderEvent = {
  readonly line: string;
  readonly kind: "reserve" | "release" | "ship";
  readonly units: number;
};

class PretendedStock {
  readonly #random: Random;
  readonly #largestOrderLine: number;
  readonly #events: { at: number; act: () => void }[] = [];
  readonly #operations: Operation[] = [];
  readonly #ledger: Movement[] = [];
  #now = 0;
  #made = 0;
  #batches = 0;
  #isWorking = false;
  #inbox: Request[] = [];
  #orderInbox: OrderEvent[] = [];
  #waiting: OrderEvent[] = [];
  readonly #heldLines = new Set<string>();
  readonly #openHolds = new Set<string>();
  readonly #endedHolds = new Set<string>();
  /** What is committed: what a reader sees. */
  #committed = { onHand: 0, reserved: 0, sequence: 0, version: 0 };
  readonly #knownHolds: string[] = [];

  constructor(random: Random, largestOrderLine: number) {
    this.#random = random;
    this.#largestOrderLine = largestOrderLine;
    const draft = this.#draft();
    draft.book("opening", random.whole(5, 40), 0, { by: "opening" });
    this.#commit(draft);
    if (largestOrderLine > 0) {
      for (let order = 1; order <= 15; order += 1)
        this.#later(random.whole(0, 400), () => this.#order(`order ${order}`));
    }
  }

  run(): History {
    for (;;) {
      this.#events.sort((one, other) => one.at - other.at);
      const event = this.#events.shift();
      if (event === undefined) break;
      this.#now = Math.max(this.#now + 0.001, event.at);
      event.act();
    }
    return {
      operations: this.#operations,
      ledger: this.#ledger,
      largestOrderLine: this.#largestOrderLine,
    };
  }

  addClient(client: string, operations: number): void {
    const own: string[] = [];
    let basedOn: { sequence: number; onHand: number } | null = null;
    let left = operations;
    const next = (): void => {
      if (left === 0) return;
      left -= 1;
      this.#made += 1;
      const key = `operation ${this.#made}`;
      const wish = this.#drawWish(key, own, basedOn);
      const askedAt = this.#now;
      const note = (answer: Answer | null): void => {
        const answeredAt = answer === null ? null : this.#now;
        this.#operations.push({ key, client, askedAt, answeredAt, wish, answer });
        if (answer?.outcome === "seen") basedOn = answer.sight;
        if (answer?.outcome === "done" && wish.kind === "hold") {
          own.push(key);
          this.#knownHolds.push(key);
        }
        this.#later(this.#random.whole(0, 8), next);
      };
      this.#send({ key, wish, answered: note }, note);
    };
    this.#later(this.#random.whole(0, 10), next);
  }

  /** The way there and back takes its time, and sometimes either is lost. */
  #send(request: Request, note: (answer: Answer | null) => void): void {
    const random = this.#random;
    const isRead = request.wish.kind === "read";
    const isLostOnTheWay = !isRead && random.chance(0.03);
    const isAnswerLost = !isRead && random.chance(0.03);
    const there = random.whole(1, 10);
    const back = random.whole(1, 10);
    const arrive = (): void => {
      const answered = (answer: Answer): void => {
        this.#later(back, () => note(isAnswerLost ? null : answer));
      };
      const early = this.#answerAtTheDoor(request.wish);
      if (early !== null) answered(early);
      else this.#enqueue({ ...request, answered });
    };
    this.#later(there, isLostOnTheWay ? () => note(null) : arrive);
  }

  #drawWish(key: string, own: string[], basedOn: { sequence: number; onHand: number } | null): Wish {
    const random = this.#random;
    const kind = random.pick([
      "read",
      "read",
      "adjust",
      "adjust",
      "receive",
      "lost",
      "hold",
      "hold",
      "release",
      "count",
    ]);
    switch (kind) {
      case "adjust":
        return { kind, quantity: random.chance(0.5) ? random.whole(1, 5) : -random.whole(1, 12) };
      case "receive":
      case "lost":
        return { kind, quantity: random.whole(1, 5) };
      case "hold":
        return { kind, quantity: random.whole(1, 10) };
      case "release": {
        const unknown = random.chance(0.1) ? [key] : [];
        const holds = [...unknown, ...(random.chance(0.3) ? this.#knownHolds : own)];
        return holds.length === 0 ? { kind: "read" } : { kind, hold: random.pick(holds) };
      }
      case "count":
        if (basedOn === null) return { kind: "read" };
        return { kind, basedOn: basedOn.sequence, onHand: Math.max(0, basedOn.onHand + random.whole(-3, 3)) };
      default:
        return { kind: "read" };
    }
  }

  #answerAtTheDoor(wish: Wish): Answer | null {
    const { onHand, reserved, sequence, version } = this.#committed;
    if (wish.kind === "read") {
      return {
        outcome: "seen",
        sight: { onHand, reserved, available: onHand - reserved, sequence, version },
      };
    }
    if (wish.kind === "release" && !this.#openHolds.has(wish.hold) && !this.#endedHolds.has(wish.hold)) {
      return { outcome: "refused", reason: "no_such_hold" };
    }
    return null;
  }

  #enqueue(request: Request): void {
    this.#inbox.push(request);
    this.#work();
  }

  #order(line: string): void {
    const random = this.#random;
    const units = random.whole(1, this.#largestOrderLine);
    this.#orderInbox.push({ line, kind: "reserve", units });
    this.#work();
    this.#later(random.whole(20, 200), () => {
      this.#orderInbox.push({ line, kind: random.pick(["release", "ship"]), units });
      this.#work();
    });
  }

  /** Takes all that is there as one batch; it is true when it is committed, some time later. */
  #work(): void {
    if (this.#isWorking || this.#inbox.length + this.#orderInbox.length === 0) return;
    this.#isWorking = true;
    this.#later(this.#random.whole(0, 3), () => {
      const [requests, orders] = [this.#inbox, this.#orderInbox];
      [this.#inbox, this.#orderInbox] = [[], []];
      this.#later(this.#random.whole(1, 12), () => {
        this.#apply(requests, orders);
        this.#isWorking = false;
        this.#work();
      });
    });
  }

  #apply(requests: readonly Request[], orders: readonly OrderEvent[]): void {
    const draft = this.#draft();
    const answers = new Map<Request, Answer>();
    for (const { kind, line, units } of orders) {
      if (kind === "reserve") this.#waiting.push({ kind, line, units });
      else if (this.#heldLines.delete(line)) {
        draft.book(kind, kind === "ship" ? -units : 0, -units, { by: "order", line });
      } else this.#waiting = this.#waiting.filter((waiting) => waiting.line !== line);
    }
    for (const request of requests) {
      if (request.wish.kind !== "hold") answers.set(request, this.#change(draft, request));
    }
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (draft.onHand - draft.reserved < first.units) break;
      this.#waiting.shift();
      this.#heldLines.add(first.line);
      draft.book("reserve", 0, first.units, { by: "order", line: first.line });
    }
    for (const request of requests) {
      if (request.wish.kind === "hold")
        answers.set(request, this.#hold(draft, request, request.wish.quantity));
    }
    this.#commit(draft);
    for (const [request, answer] of answers) {
      const numbers = { onHand: draft.onHand, available: draft.onHand - draft.reserved };
      const told = { hold: { onHand: null }, release: { onHand: null, available: null } } as const;
      const { kind } = request.wish;
      const left = kind === "hold" || kind === "release" ? told[kind] : {};
      request.answered(answer.outcome === "done" ? { outcome: "done", ...numbers, ...left } : answer);
    }
  }

  #change(draft: Draft, { key, wish }: Request): Answer {
    const cause = { by: "operation", key } as const;
    const refused = (reason: Extract<Answer, { outcome: "refused" }>["reason"]): Answer => ({
      outcome: "refused",
      reason,
    });
    switch (wish.kind) {
      case "adjust":
      case "receive":
      case "lost": {
        const units = wish.kind === "lost" ? -wish.quantity : wish.quantity;
        if (draft.onHand + units < 0) return refused("below_zero");
        if (units < 0 && draft.onHand - draft.reserved + units < 0) return refused("below_reserved");
        draft.book(wish.kind, units, 0, cause);
        return done;
      }
      case "count": {
        if (draft.sequence !== wish.basedOn) return refused("version_changed");
        if (wish.onHand < draft.reserved) return refused("below_reserved");
        if (wish.onHand !== draft.onHand) draft.book("adjust", wish.onHand - draft.onHand, 0, cause);
        return done;
      }
      case "release": {
        const held = this.#ledger.find(({ cause: by }) => by.by === "operation" && by.key === wish.hold);
        if (this.#openHolds.delete(wish.hold)) {
          this.#endedHolds.add(wish.hold);
          draft.book("release", 0, -(held?.reservedEffect ?? 0), { by: "release", hold: wish.hold });
        }
        return done;
      }
      default:
        throw new Error(`${wish.kind} is no change`);
    }
  }

  #hold(draft: Draft, { key }: Request, units: number): Answer {
    if (this.#waiting.length > 0) return { outcome: "refused", reason: "others_wait" };
    if (draft.onHand - draft.reserved < units) return { outcome: "refused", reason: "not_enough" };
    draft.book("reserve", 0, units, { by: "operation", key });
    this.#openHolds.add(key);
    return done;
  }

  #draft(): Draft {
    this.#batches += 1;
    return new Draft(this.#committed, String(this.#batches));
  }

  #commit({ movements, onHand, reserved, sequence }: Draft): void {
    if (movements.length === 0) return;
    this.#ledger.push(...movements);
    this.#committed = { onHand, reserved, sequence, version: this.#committed.version + 1 };
  }

  #later(milliseconds: number, act: () => void): void {
    this.#events.push({ at: this.#now + milliseconds, act });
  }
}

const done: Answer = { outcome: "done", onHand: null, available: null };

class Draft {
  readonly movements: Movement[] = [];
  onHand: number;
  reserved: number;
  sequence: number;
  readonly #batch: string;

  constructor(from: { onHand: number; reserved: number; sequence: number }, batch: string) {
    this.onHand = from.onHand;
    this.reserved = from.reserved;
    this.sequence = from.sequence;
    this.#batch = batch;
  }

  book(kind: string, onHandEffect: number, reservedEffect: number, cause: Movement["cause"]): void {
    this.sequence += 1;
    this.movements.push({
      sequence: this.sequence,
      kind,
      onHandEffect,
      reservedEffect,
      onHandBefore: this.onHand,
      onHandAfter: this.onHand + onHandEffect,
      reservedBefore: this.reserved,
      reservedAfter: this.reserved + reservedEffect,
      batch: this.#batch,
      cause,
    });
    this.onHand += onHandEffect;
    this.reserved += reservedEffect;
  }
}

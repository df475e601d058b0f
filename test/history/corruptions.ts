import type { Random } from "../support/random.ts";
import type { Answer, Fault, History, Movement, Operation, Sight } from "./checker.ts";

/**
 * Ways in which a right history becomes a wrong one, each with the faults that may be named for it. A corruption is null
 * where a history offers nothing to corrupt in that way.
 */
export interface Corruption {
  readonly what: string;
  readonly faults: readonly Fault[];
  readonly corrupt: (history: History, random: Random) => History | null;
}

type Done = Operation & {
  readonly answeredAt: number;
  readonly answer: Extract<Answer, { outcome: "done" }>;
};
type Seen = Operation & {
  readonly answeredAt: number;
  readonly answer: Extract<Answer, { outcome: "seen" }>;
};

export const corruptions: readonly Corruption[] = [
  {
    what: "the effect of a success is lost",
    faults: ["lost_effect", "fewer_than_none"],
    corrupt(history, random) {
      const lost = pickFrom(
        random,
        history.ledger.filter((movement) => doneOf(history, movement) !== null),
      );
      return (
        lost &&
        withLedger(
          history,
          history.ledger.filter((movement) => movement !== lost),
        )
      );
    },
  },
  {
    what: "an effect is doubled",
    faults: ["doubled_effect", "fewer_than_none"],
    corrupt(history, random) {
      const doubled = pickFrom(
        random,
        history.ledger.filter(({ cause }) => cause.by === "operation"),
      );
      return doubled && withLedger(history, insertedAfter(history.ledger, doubled, doubled));
    },
  },
  {
    what: "a hold is ended twice",
    faults: ["doubled_effect", "fewer_than_none"],
    corrupt(history, random) {
      const ended = pickFrom(
        random,
        history.ledger.filter(({ cause }) => cause.by === "release"),
      );
      return ended && withLedger(history, insertedAfter(history.ledger, ended, ended));
    },
  },
  {
    what: "something moved that nobody asked for",
    faults: ["phantom_movement"],
    corrupt(history, random) {
      const after = pickFrom(random, history.ledger);
      const phantom = {
        kind: "receive",
        onHandEffect: 1,
        reservedEffect: 0,
        cause: operation("nobody"),
      } as const;
      return after && withLedger(history, insertedAfter(history.ledger, after, { ...after, ...phantom }));
    },
  },
  {
    what: "a line of the ledger is missing",
    faults: ["sequence_gap"],
    corrupt(history, random) {
      const missing = pickFrom(random, history.ledger.slice(0, -1));
      return missing && { ...history, ledger: history.ledger.filter((movement) => movement !== missing) };
    },
  },
  {
    what: "a line of the ledger does not follow from the one before",
    faults: ["does_not_add_up"],
    corrupt(history, random) {
      const wrong = pickFrom(random, history.ledger);
      return wrong && replaced(history, wrong, { ...wrong, onHandAfter: wrong.onHandAfter + 1 });
    },
  },
  {
    what: "a batch is in two pieces",
    faults: ["torn_batch"],
    corrupt(history, random) {
      const again = pickFrom(random, history.ledger.slice(2));
      const first = history.ledger[0];
      if (again === null || first === undefined || again.batch === first.batch) return null;
      return replaced(history, again, { ...again, batch: first.batch });
    },
  },
  {
    what: "more is taken away than was wished",
    // A later count that found what was thought would have had something to move then.
    faults: ["other_effect", "fewer_than_none", "lost_effect"],
    corrupt(history, random) {
      const more = pickFrom(
        random,
        history.ledger.filter(({ kind }) => kind === "adjust" || kind === "lost"),
      );
      return (
        more &&
        withLedger(history, replaced(history, more, { ...more, onHandEffect: more.onHandEffect - 1 }).ledger)
      );
    },
  },
  {
    what: "more is promised than is there",
    faults: ["fewer_than_none"],
    corrupt(history, random) {
      const held = pickFrom(
        random,
        history.ledger.filter(({ kind, cause }) => kind === "reserve" && cause.by === "operation"),
      );
      if (held === null) return null;
      const units = held.onHandBefore + 1;
      const asked = operationOf(history, held);
      return withLedger(
        withOperation(history, asked, { ...asked, wish: { kind: "hold", quantity: units } }),
        replaced(history, held, { ...held, reservedEffect: units }).ledger,
      );
    },
  },
  {
    what: "two writes are exchanged although one was answered before the other was asked",
    faults: ["against_real_time", "lost_effect"],
    corrupt(history, random) {
      const pair = drawInOrder(history, random);
      if (pair === null) return null;
      const [one, other] = pair;
      const ledger = history.ledger.map((movement) => {
        const moved = movement === one ? other : movement === other ? one : movement;
        return { ...moved, batch: movement.batch };
      });
      return withinBounds(withLedger(history, ledger));
    },
  },
  {
    what: "a write was asked only after somebody had seen its effect",
    faults: ["against_real_time", "early_sight"],
    corrupt(history, random) {
      const sight = pickFrom(
        random,
        sightsOf(history).filter(({ answer }) => answer.sight.sequence > 3),
      );
      if (sight === null) return null;
      const seen = history.ledger.filter(
        (movement) => movement.sequence <= sight.answer.sight.sequence && doneOf(history, movement) !== null,
      );
      const movement = pickFrom(random, seen);
      if (movement === null) return null;
      const early = operationOf(history, movement);
      const askedAt = sight.answeredAt + 0.5;
      const answeredAt = Math.max(askedAt + 1, early.answeredAt ?? 0);
      return withOperation(history, early, { ...early, askedAt, answeredAt });
    },
  },
  {
    what: "a read tells what was true before something that had been answered",
    faults: ["stale_sight"],
    corrupt(history, random) {
      const sight = pickFrom(
        random,
        sightsOf(history).filter((read) => lastAnsweredBefore(history, read) !== null),
      );
      if (sight === null) return null;
      const { batch } = lastAnsweredBefore(history, sight)!;
      const first = history.ledger.findIndex((movement) => movement.batch === batch);
      const older = first < 1 ? undefined : history.ledger[first - 1];
      return older === undefined ? null : withSight(history, sight, sightAfter(history, sight, older));
    },
  },
  {
    what: "a read tells what was not yet asked for",
    faults: ["early_sight"],
    corrupt(history, random) {
      const later = (read: Seen): Movement | undefined =>
        history.ledger.find((movement) => (doneOf(history, movement)?.askedAt ?? 0) > read.answeredAt);
      const sight = pickFrom(
        random,
        sightsOf(history).filter((read) => later(read) !== undefined),
      );
      if (sight === null) return null;
      const last = history.ledger.findLast(({ batch }) => batch === later(sight)!.batch)!;
      return withSight(history, sight, sightAfter(history, sight, last));
    },
  },
  {
    what: "two reads go back in time",
    faults: ["stale_sight", "early_sight"],
    corrupt(history, random) {
      const one = pickFrom(random, sightsOf(history));
      if (one === null) return null;
      const others = sightsOf(history).filter(
        ({ askedAt, answer }) =>
          one.answeredAt < askedAt && one.answer.sight.sequence < answer.sight.sequence,
      );
      const other = pickFrom(random, others);
      if (other === null) return null;
      return withSight(withSight(history, one, other.answer.sight), other, one.answer.sight);
    },
  },
  {
    what: "a read tells numbers that never were",
    faults: ["sight_disagrees"],
    corrupt(history, random) {
      const read = pickFrom(random, sightsOf(history));
      if (read === null) return null;
      const { sight } = read.answer;
      const field = random.pick(["onHand", "reserved", "available"] as const);
      return withSight(history, read, { ...sight, [field]: sight[field] + random.pick([-1, 1]) });
    },
  },
  {
    what: "a read tells its numbers from two moments",
    faults: ["sight_disagrees", "version_disagrees"],
    corrupt(history, random) {
      const reads = sightsOf(history);
      const read = pickFrom(random, reads);
      const other = pickFrom(
        random,
        reads.filter(({ answer: { sight } }) => read !== null && sight.onHand !== read.answer.sight.onHand),
      );
      if (read === null || other === null) return null;
      const { sequence, version } = other.answer.sight;
      return withSight(history, read, { ...read.answer.sight, sequence, version });
    },
  },
  {
    what: "a read tells the numbers inside a batch",
    faults: ["inside_a_batch"],
    corrupt(history, random) {
      const read = pickFrom(random, sightsOf(history));
      const inside = pickFrom(
        random,
        history.ledger.filter((movement, index) => history.ledger[index + 1]?.batch === movement.batch),
      );
      return read && inside && withSight(history, read, sightAfter(history, read, inside));
    },
  },
  {
    what: "a read tells another version than its numbers have",
    faults: ["version_disagrees"],
    corrupt(history, random) {
      const reads = sightsOf(history);
      const read = pickFrom(random, reads.slice(1));
      if (read === null || reads.length < 3) return null;
      const { sight } = read.answer;
      return withSight(history, read, { ...sight, version: sight.version + random.pick([-1, 1]) });
    },
  },
  {
    what: "a success is told as a refusal",
    faults: ["refused_but_applied"],
    corrupt(history, random) {
      const asked = pickFrom(
        random,
        applied(history, (movement) => movement.cause.by === "operation"),
      );
      return (
        asked &&
        withOperation(history, asked, { ...asked, answer: { outcome: "refused", reason: "not_enough" } })
      );
    },
  },
  {
    what: "a refusal is told as a success",
    faults: ["lost_effect"],
    corrupt(history, random) {
      const refused = history.operations.filter(
        ({ answer, wish }) =>
          answer?.outcome === "refused" && (wish.kind === "adjust" || wish.kind === "hold"),
      );
      const asked = pickFrom(random, refused);
      const answer = { outcome: "done", onHand: 1, available: 1 } as const;
      return asked && withOperation(history, asked, { ...asked, answer });
    },
  },
  {
    what: "an answer tells one unit more or less",
    faults: ["answer_disagrees"],
    corrupt(history, random) {
      const asked = pickFrom(
        random,
        applied(history, (movement) => movement.cause.by === "operation"),
      );
      if (asked === null) return null;
      const { available } = asked.answer;
      return withOperation(history, asked, {
        ...asked,
        answer: { ...asked.answer, available: (available ?? 0) + random.pick([-1, 1]) },
      });
    },
  },
  {
    what: "something was refused for which there was enough all the time",
    faults: ["refusal_never_right"],
    corrupt(history, random) {
      const enough = Math.max(1, history.largestOrderLine);
      const refused = history.operations.filter(
        (asked) =>
          asked.answer?.outcome === "refused" &&
          (asked.wish.kind === "adjust" || asked.wish.kind === "hold") &&
          statesAround(history, asked).every(
            ({ onHandAfter, reservedAfter }) => onHandAfter - reservedAfter >= enough,
          ),
      );
      const asked = pickFrom(random, refused);
      if (asked === null) return null;
      const wish =
        asked.wish.kind === "hold"
          ? ({ kind: "hold", quantity: 1 } as const)
          : ({ kind: "adjust", quantity: -1 } as const);
      return withOperation(history, asked, { ...asked, wish });
    },
  },
  {
    what: "a refusal tells a reason that was not so",
    faults: ["refusal_never_right"],
    corrupt(history, random) {
      const refused = history.operations.filter(
        (asked) =>
          asked.answer?.outcome === "refused" &&
          asked.answer.reason === "below_reserved" &&
          asked.wish.kind === "adjust" &&
          statesAround(history, asked).every(
            ({ onHandAfter }) => asked.wish.kind === "adjust" && onHandAfter + asked.wish.quantity >= 0,
          ),
      );
      const asked = pickFrom(random, refused);
      return (
        asked &&
        withOperation(history, asked, { ...asked, answer: { outcome: "refused", reason: "below_zero" } })
      );
    },
  },
  {
    what: "a count was booked although something had moved since",
    faults: ["count_of_old_numbers"],
    corrupt(history, random) {
      const asked = pickFrom(
        random,
        applied(history, (movement) => operationOf(history, movement).wish.kind === "count"),
      );
      if (asked?.wish.kind !== "count" || asked.wish.basedOn < 2) return null;
      return withOperation(history, asked, {
        ...asked,
        wish: { ...asked.wish, basedOn: asked.wish.basedOn - 1 },
      });
    },
  },
  {
    what: "a hold was not known although its maker had been told of it",
    faults: ["refusal_never_right"],
    corrupt(history, random) {
      const refused = history.operations.filter(
        ({ answer }) => answer?.outcome === "refused" && answer.reason === "no_such_hold",
      );
      const asked = pickFrom(random, refused);
      const hold = pickFrom(
        random,
        applied(history, ({ kind, cause }) => kind === "reserve" && cause.by === "operation").filter(
          ({ answeredAt }) => asked !== null && answeredAt < asked.askedAt,
        ),
      );
      return (
        asked &&
        hold &&
        withOperation(history, asked, { ...asked, wish: { kind: "release", hold: hold.key } })
      );
    },
  },
];

function operation(key: string): Movement["cause"] {
  return { by: "operation", key };
}

function pickFrom<Value>(random: Random, values: readonly Value[]): Value | null {
  return values.length === 0 ? null : random.pick(values);
}

function sightsOf(history: History): readonly Seen[] {
  return history.operations.filter((asked): asked is Seen => asked.answer?.outcome === "seen");
}

/** Recorded histories are long: who asked for a movement is looked up, not looked for. */
const operationsByKey = new WeakMap<readonly Operation[], ReadonlyMap<string, Operation>>();

function operationOf({ operations }: History, { cause }: Movement): Operation {
  const byKey = operationsByKey.get(operations) ?? new Map(operations.map((each) => [each.key, each]));
  operationsByKey.set(operations, byKey);
  const found = cause.by === "operation" ? byKey.get(cause.key) : undefined;
  if (found === undefined) throw new Error("A right history has a movement that nobody asked for");
  return found;
}

/** Whose definite success a movement is. */
function doneOf(history: History, movement: Movement): Done | null {
  if (movement.cause.by !== "operation") return null;
  const found = operationOf(history, movement);
  return found.answer?.outcome === "done" ? (found as Done) : null;
}

/** Definite successes whose movement is such a one. */
function applied(history: History, isSuch: (movement: Movement) => boolean): readonly Done[] {
  return history.ledger.flatMap((movement) => {
    const done = doneOf(history, movement);
    return done !== null && isSuch(movement) ? [done] : [];
  });
}

/** A change by an amount, and one asked after its answer, without a count between them that would differ. */
function drawInOrder(history: History, random: Random): readonly [Movement, Movement] | null {
  const isCount = (movement: Movement): boolean =>
    movement.cause.by === "operation" && operationOf(history, movement).wish.kind === "count";
  const isChange = (movement: Movement): boolean =>
    movement.kind !== "reserve" && !isCount(movement) && doneOf(history, movement) !== null;
  const one = pickFrom(random, history.ledger.filter(isChange));
  const first = one && doneOf(history, one);
  if (one === null || first === null) return null;
  const rest = history.ledger.slice(one.sequence);
  const count = rest.findIndex(isCount);
  const others = rest
    .slice(0, count === -1 ? rest.length : count)
    .filter((other) => isChange(other) && first.answeredAt < (doneOf(history, other)?.askedAt ?? 0));
  const other = pickFrom(random, others);
  return other && [one, other];
}

/** The newest movement that had been answered when a read was asked. */
function lastAnsweredBefore(history: History, read: Seen): Movement | null {
  return (
    history.ledger.findLast(
      (movement) => (doneOf(history, movement)?.answeredAt ?? Infinity) < read.askedAt,
    ) ?? null
  );
}

/** Lines whose numbers may have been true while an operation was under way, and some more. */
function statesAround(history: History, asked: Operation): readonly Movement[] {
  const { ledger } = history;
  const before = ledger.findLastIndex(
    (movement) => (doneOf(history, movement)?.answeredAt ?? Infinity) < asked.askedAt,
  );
  const after = ledger.findIndex(
    (movement) => (doneOf(history, movement)?.askedAt ?? 0) > (asked.answeredAt ?? Infinity),
  );
  // A line is there with its whole batch, and the state before a batch is that after the line before.
  return ledger.slice(Math.max(0, before), after === -1 ? ledger.length : after + 1);
}

function sightAfter(
  history: History,
  read: Seen,
  { sequence, onHandAfter, reservedAfter, batch }: Movement,
): Sight {
  const numberOf = (of: string): number =>
    [...new Set(history.ledger.map((movement) => movement.batch))].indexOf(of);
  const seen = history.ledger.find((movement) => movement.sequence === read.answer.sight.sequence)!;
  const version = read.answer.sight.version + numberOf(batch) - numberOf(seen.batch);
  return {
    onHand: onHandAfter,
    reserved: reservedAfter,
    available: onHandAfter - reservedAfter,
    sequence,
    version,
  };
}

function withSight(history: History, read: Seen, sight: Sight): History {
  return withOperation(history, read, { ...read, answer: { outcome: "seen", sight } });
}

function withOperation(history: History, old: Operation, now: Operation): History {
  return { ...history, operations: history.operations.map((each) => (each.key === old.key ? now : each)) };
}

function replaced(history: History, old: Movement, now: Movement): History {
  return { ...history, ledger: history.ledger.map((movement) => (movement === old ? now : movement)) };
}

function insertedAfter(ledger: readonly Movement[], old: Movement, added: Movement): readonly Movement[] {
  return ledger.flatMap((movement) => (movement === old ? [movement, { ...added }] : [movement]));
}

/** With its lines numbered anew and adding up: the corruption must be found by more than arithmetic. */
function withLedger(history: History, ledger: readonly Movement[]): History {
  let onHand = 0;
  let reserved = 0;
  return {
    ...history,
    ledger: ledger.map((movement, index) => {
      const [onHandBefore, reservedBefore] = [onHand, reserved];
      onHand += movement.onHandEffect;
      reserved += movement.reservedEffect;
      const after = { onHandAfter: onHand, reservedAfter: reserved };
      return { ...movement, sequence: index + 1, onHandBefore, reservedBefore, ...after };
    }),
  };
}

function withinBounds(history: History): History | null {
  const isWithin = history.ledger.every(
    ({ onHandAfter, reservedAfter }) => reservedAfter >= 0 && reservedAfter <= onHandAfter,
  );
  return isWithin ? history : null;
}

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type ChannelOrder,
  type ChannelStatus,
  channelStatuses,
} from "../../../src/domain/order/channel-order.ts";
import { commandsFor } from "../../../src/domain/order/commands.ts";
import { receiveOrder, takeSnapshot } from "../../../src/domain/order/decide.ts";
import type { OrderLine, OrderState } from "../../../src/domain/order/order.ts";
import { isFinal, isHandedOver, transitions } from "../../../src/domain/order/transitions.ts";
import type { StockAnswer, StockOperation } from "../../../src/domain/stock/operation.ts";
import { at } from "../stock/stock-builders.ts";
import { aLine, contextOf, OrderAtWork, snapshot, Warehouse } from "./order-builders.ts";

/** A legal life from `unpaid` to its end; every choice picks among the states that may follow. */
const aLife: fc.Arbitrary<readonly ChannelStatus[]> = fc
  .array(fc.nat(), { minLength: 9, maxLength: 9 })
  .map((choices) => {
    const life: ChannelStatus[] = ["unpaid"];
    for (const choice of choices) {
      const { next } = transitions[life.at(-1)!];
      const chosen = next[choice % Math.max(1, next.length)];
      if (chosen === undefined) break;
      life.push(chosen);
    }
    return life;
  });

function newsOf(life: readonly ChannelStatus[], lines = ["1", "2"]): ChannelOrder[] {
  return life.map((status, minute) =>
    snapshot(status, {
      updatedAt: at(minute),
      lines: lines.map((id) => aLine(id, { status })),
      trackingNumber: isHandedOver(status) ? "T1" : null,
    }),
  );
}

function lived(news: readonly ChannelOrder[]) {
  const warehouse = new Warehouse({ mug: 9 });
  const order = new OrderAtWork(warehouse);
  for (const each of news) order.tell(each);
  return { state: order.order, numbers: warehouse.numbers("mug"), events: order.events };
}

/** Any order of the news, each told as often as chance will have it, and the last one at least once. */
const shuffled = (news: readonly ChannelOrder[]) =>
  fc
    .array(fc.constantFrom(...news), { maxLength: 20 })
    .chain((some) => fc.shuffledSubarray([...some, news.at(-1)!], { minLength: some.length + 1 }));

test("a life told in any order, with losses and repetitions, ends where it ends when told in order", () => {
  // Whether the parcel was handed over before a cancellation can be lost with the news of it; the next test is about that.
  const tellable = aLife.filter(
    (life) => life.at(-1) !== "cancelled" || !life.some((status) => isHandedOver(status)),
  );
  fc.assert(
    fc.property(
      tellable.chain((life) => {
        const news = newsOf(life);
        return fc.tuple(fc.constant(news), shuffled(news));
      }),
      ([news, told]) => {
        const plain = lived(news);
        const messy = lived(told);
        expect(messy.state.channelStatus).toBe(plain.state.channelStatus);
        expect(messy.numbers).toEqual(plain.numbers);
        const over = (line: OrderLine) => ["cancelled", "reversed"].includes(line.stage);
        expect(messy.state.lines.map(over)).toEqual(plain.state.lines.map(over));
        expect(messy.events.some((event) => event.kind === "news_refused")).toBe(false);
      },
    ),
    { numRuns: 500 },
  );
});

test("a life cancelled after hand-over ends with its units gone, or back when the hand-over was never told", () => {
  const handedOverAndCancelled = aLife.filter(
    (life) => life.at(-1) === "cancelled" && life.some((status) => isHandedOver(status)),
  );
  fc.assert(
    fc.property(
      handedOverAndCancelled.chain((life) => shuffled(newsOf(life))),
      (told) => {
        const { state, numbers, events } = lived(told);
        const knew =
          events.some((event) => event.kind === "status_changed" && isHandedOver(event.to)) ||
          events.some((event) => event.kind === "order_received" && isHandedOver(event.status));
        expect(state.lines.map((line) => line.stage === "shipped")).toEqual([knew, knew]);
        expect(numbers).toEqual({ onHand: knew ? 7 : 9, reserved: 0 });
      },
    ),
    { numRuns: 300 },
  );
});

test("without the guard of the database, any news in any order only ever move an order forward", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...channelStatuses), { minLength: 1, maxLength: 30 }),
      (statuses) => {
        const [first, ...later] = statuses.map((status) => snapshot(status));
        let { state } = receiveOrder(first!, contextOf(first!));
        for (const news of later) {
          const before = state;
          const decision = takeSnapshot(state, news, contextOf(news));
          state = decision.state;
          const allowed =
            news.status === before.channelStatus ||
            transitions[before.channelStatus].next.includes(news.status);
          if (!allowed) expect(state).toBe(before);
          expect(takeSnapshot(state, news, contextOf(news)).state).toEqual(state);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("what an order wants follows from its state alone, at every moment of every life", () => {
  fc.assert(
    fc.property(aLife, fc.boolean(), (life, lostAnswers) => {
      const order = new OrderAtWork(new Warehouse({ mug: 1 }));
      for (const news of newsOf(life)) {
        order.hear(news);
        const wanted = order.commands();
        expect(commandsFor(JSON.parse(JSON.stringify(order.order)) as OrderState)).toEqual(wanted);
        order.askStock({ answersAreLost: lostAnswers });
        // Lost answers leave the same question, and asked again it gets the same answers.
        if (lostAnswers) expect(order.commands()).toEqual(wanted);
        order.settle();
        expect(order.commands().filter((command) => command.kind === "stock")).toEqual([]);
      }
    }),
    { numRuns: 300 },
  );
});

const refused = (...reasons: Extract<StockAnswer, { outcome: "refused" }>["reason"][]) =>
  reasons.map((reason): StockAnswer => ({ outcome: "refused", reason }));

/** Everything that a stock may answer to what an order asks. */
const possibleAnswers: Readonly<Record<string, readonly StockAnswer[]>> = {
  reserve: [
    { outcome: "reserved" },
    { outcome: "short" },
    ...refused("claim_closed", "operation_id_reused", "unknown_location", "poisoned"),
  ],
  rank: [{ outcome: "ranked" }, ...refused("operation_id_reused", "poisoned")],
  release: [
    { outcome: "released" },
    { outcome: "withdrawn" },
    { outcome: "closed" },
    ...refused("already_shipped", "poisoned"),
  ],
  ship: [{ outcome: "shipped" }, ...refused("nothing_held", "unknown_location", "poisoned")],
  reverse: [{ outcome: "reversed" }, ...refused("not_shipped", "poisoned")],
};

test("whatever the stock answers, an order is quiet after a few rounds", () => {
  fc.assert(
    fc.property(aLife, fc.array(fc.nat(), { minLength: 60, maxLength: 60 }), (life, choices) => {
      let asked = 0;
      const closedBefore = new Map<string, number>();
      const ask = (_: string, operation: StockOperation): StockAnswer => {
        const answers = possibleAnswers[operation.kind]!;
        const answer = answers[choices[asked++ % choices.length]! % answers.length]!;
        if (answer.outcome !== "refused" || answer.reason !== "claim_closed" || !("claim" in operation)) {
          return answer;
        }
        // A claim is closed before it is asked for by a release of that very generation: seldom, and never for ever.
        const times = (closedBefore.get(operation.claim.lineId) ?? 0) + 1;
        closedBefore.set(operation.claim.lineId, times);
        return times > 3 ? { outcome: "short" } : answer;
      };
      const order = new OrderAtWork({ ask, claimsIn: () => new Set() });
      // `tell` throws after a few rounds, see `roundsMaximum`.
      for (const news of newsOf(life)) order.tell(news);
      expect(isFinal(order.order.channelStatus)).toBe(true);
      expect(order.commands()).toEqual([]);
    }),
    { numRuns: 1_000 },
  );
});

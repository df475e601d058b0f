import { describe, expect, test } from "vitest";
import { type ChannelStatus, channelStatuses } from "../../../src/domain/order/channel-order.ts";
import { takeSnapshot } from "../../../src/domain/order/decide.ts";
import {
  isArranged,
  isFinal,
  isHandedOver,
  isLegalMove,
  isToBeShipped,
  lifecycleDiagram,
  summaryOf,
  transitions,
} from "../../../src/domain/order/transitions.ts";
import { contextOf, orderIn, snapshot } from "./order-builders.ts";

/**
 * Every state (rows) and every piece of news (columns, in the same order): M is a move, = says nothing new about the
 * state, and . is refused.
 */
const moves = `
  unpaid              =  M  M  M  M  M  M  M  M
  on_hold             .  =  M  M  M  M  M  M  M
  awaiting_shipment   .  .  =  M  M  M  M  M  M
  partially_shipping  .  .  .  =  M  M  M  M  M
  awaiting_collection .  .  .  .  =  M  M  M  M
  in_transit          .  .  .  .  .  =  M  M  M
  delivered           .  .  .  .  .  .  =  M  .
  completed           .  .  .  .  .  .  .  =  .
  cancelled           .  .  .  .  .  .  .  .  =
`;

const cases = moves
  .trim()
  .split("\n")
  .flatMap((row) => {
    const [from, ...marks] = row.trim().split(/\s+/);
    return marks.map((mark, index) => ({
      from: from as ChannelStatus,
      to: channelStatuses[index]!,
      mark,
    }));
  });

test("the table of moves names every state in both directions", () => {
  expect(cases).toHaveLength(channelStatuses.length ** 2);
  expect(new Set(cases.map(({ from }) => from))).toEqual(new Set(channelStatuses));
});

describe.each(cases.filter(({ mark }) => mark === "M"))("from $from to $to", ({ from, to }) => {
  test("is a move, noted once", () => {
    const news = snapshot(to);
    const decision = takeSnapshot(orderIn(from), news, contextOf(news));
    expect(isLegalMove(from, to)).toBe(true);
    expect(decision.state.channelStatus).toBe(to);
    expect(decision.events.filter((event) => event.kind === "status_changed")).toEqual([
      { kind: "status_changed", from, to },
    ]);
  });
});

describe.each(cases.filter(({ mark }) => mark === "."))("from $from to $to", ({ from, to }) => {
  test("is refused by name and changes nothing", () => {
    const order = orderIn(from);
    const news = snapshot(to, { trackingNumber: "T1", onHold: true, buyerRequestsCancel: true });
    expect(takeSnapshot(order, news, contextOf(news))).toEqual({
      state: order,
      events: [{ kind: "news_refused", from, to }],
    });
  });
});

describe.each(channelStatuses)("%s again", (status) => {
  test("is no news", () => {
    const news = snapshot(status);
    const once = takeSnapshot(orderIn(status), news, contextOf(news));
    const twice = takeSnapshot(once.state, news, contextOf(news));
    expect(twice).toEqual({ state: once.state, events: [] });
  });
});

test("every state can be reached from unpaid, and some end from every state", () => {
  const reach = (start: ChannelStatus): ReadonlySet<ChannelStatus> => {
    const seen = new Set<ChannelStatus>([start]);
    // A set grows while it is walked, so that what is found is walked as well.
    for (const status of seen) for (const next of transitions[status].next) seen.add(next);
    return seen;
  };
  expect([...reach("unpaid")].sort()).toEqual([...channelStatuses].sort());
  for (const status of channelStatuses) expect([...reach(status)].some(isFinal), status).toBe(true);
});

test("no order comes back to a state it has left", () => {
  for (const from of channelStatuses) {
    for (const to of transitions[from].next) expect(isLegalMove(to, from), `${to} to ${from}`).toBe(false);
  }
});

test("only completed and cancelled are final", () => {
  expect(channelStatuses.filter(isFinal)).toEqual(["completed", "cancelled"]);
});

test.each([
  // status                 summary       to be shipped  arranged  handed over
  ["unpaid", "pending", false, false, false],
  ["on_hold", "pending", false, false, false],
  ["awaiting_shipment", "processing", true, false, false],
  ["partially_shipping", "processing", true, false, false],
  ["awaiting_collection", "fulfilled", false, true, false],
  ["in_transit", "fulfilled", false, true, true],
  ["delivered", "delivered", false, true, true],
  ["completed", "delivered", false, true, true],
  ["cancelled", "cancelled", false, false, false],
] as const)("%s is shown as %s", (status, summary, toBeShipped, arranged, handedOver) => {
  expect(summaryOf(status)).toBe(summary);
  expect(isToBeShipped(status)).toBe(toBeShipped);
  expect(isArranged(status)).toBe(arranged);
  expect(isHandedOver(status)).toBe(handedOver);
});

test("the diagram draws legal moves only, and every state", () => {
  const arrows = [...lifecycleDiagram().matchAll(/(\w+) --> (\w+)/g)].map(([, from, to]) => ({ from, to }));
  for (const { from, to } of arrows) {
    expect(isLegalMove(from as ChannelStatus, to as ChannelStatus), `${from} to ${to}`).toBe(true);
  }
  const drawn = new Set(arrows.flatMap(({ from, to }) => [from, to]));
  expect([...drawn].sort()).toEqual([...channelStatuses].sort());
});

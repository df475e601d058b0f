import { describe, expect, test } from "vitest";
import { asId } from "../../../src/domain/ids.ts";
import { channelStatuses, type ChannelStatus } from "../../../src/domain/order/channel-order.ts";
import { commandsFor } from "../../../src/domain/order/commands.ts";
import { requestCancel, takeCancelAnswer, takeShipment } from "../../../src/domain/order/decide.ts";
import {
  type CancelRequest,
  holdOf,
  type LineStage,
  lineStages,
  needsAttention,
  nextStepOf,
  orderSummaryOf,
} from "../../../src/domain/order/order.ts";
import { orderIn, orderLine, stagesOf } from "./order-builders.ts";

const asking: CancelRequest = { state: "requested", reason: "Damaged", by: asId("user") };
const lineIn = (stage: LineStage, id = "1", packageId: string | null = "package") =>
  orderLine(stage, { lineId: asId(id), packageId: packageId === null ? null : asId(packageId) });

describe("an order is held", () => {
  test.each([
    // hold                person must act  the next step says    because of
    ["unknown_sku", true, "unknown SKU", { lines: [orderLine("new", { skuId: null })] }],
    ["cancelling", false, "with the channel", { cancelRequest: asking }],
    ["cancelling", false, "with the channel", { cancelRequest: { ...asking, state: "accepted" } }],
    ["shortage", true, "raise the stock", { lines: [lineIn("short")] }],
    ["shortage", true, "raise the stock", { lines: [lineIn("set_aside")] }],
    [
      "shortage",
      false,
      "Waits for units",
      { lines: [lineIn("short")], shortage: { course: "wait", by: null } },
    ],
    [
      "shortage",
      false,
      "its other lines",
      { lines: [lineIn("short"), lineIn("yielding", "2")], shortage: { course: "release_others", by: null } },
    ],
    [
      "shortage",
      true,
      "cancelling is proposed",
      { lines: [lineIn("short")], shortage: { course: "propose_cancelling", by: null } },
    ],
    [
      "shortage",
      true,
      "Was to ship by",
      { lines: [lineIn("short")], shortage: { course: "overdue", by: null } },
    ],
    ["cancel_requested", true, "buyer asks", { buyerRequestsCancel: true }],
    ["shipment_refused", true, "(No pickup)", { shipmentRefusal: "No pickup" }],
    ["remorse", false, "may still cancel", { channelOnHold: true }],
    ["carrier", true, "tracking number", { shipping: "seller" }],
    ["no_package", true, "named no package", { lines: [lineIn("held", "1", null)] }],
    [null, false, "being arranged", {}],
    [null, false, "being arranged", { cancelRequest: { ...asking, state: "refused" } }],
  ] as const)("%s", (hold, attention, sentence, because) => {
    const order = orderIn("awaiting_shipment", because);
    expect(holdOf(order)).toBe(hold);
    expect(needsAttention(order)).toBe(attention);
    expect(nextStepOf(order)).toContain(sentence);
    const ships = commandsFor(order).some((command) => command.kind === "ship");
    expect(ships).toBe(hold === null);
  });

  test("for the most pressing reason when there are several", () => {
    const everything = orderIn("awaiting_shipment", {
      lines: [orderLine("new", { skuId: null }), lineIn("short", "2")],
      cancelRequest: asking,
      buyerRequestsCancel: true,
      shipmentRefusal: "No pickup",
      channelOnHold: true,
      shipping: "seller",
    });
    const known = { ...everything, lines: [lineIn("short", "2")] };
    const notCancelling = { ...known, cancelRequest: null };
    const served = { ...notCancelling, lines: [lineIn("held", "2")] };
    const notAsked = { ...served, buyerRequestsCancel: false };
    const notRefused = { ...notAsked, shipmentRefusal: null };
    const released = { ...notRefused, channelOnHold: false };
    const orders = [everything, known, notCancelling, served, notAsked, notRefused, released];
    expect(orders.map(holdOf)).toEqual([
      "unknown_sku",
      "cancelling",
      "shortage",
      "cancel_requested",
      "shipment_refused",
      "remorse",
      "carrier",
    ]);
  });

  test.each(channelStatuses)("no longer once nothing is left to ship, being %s", (status) => {
    for (const stage of ["arranged", "shipped", "cancelled", "reversed", "untracked"] as const) {
      expect(holdOf(orderIn(status, { lines: [lineIn(stage)], buyerRequestsCancel: true }))).toBeNull();
    }
  });

  test.each(["completed", "cancelled"] as const)("never when it is %s", (status) => {
    const order = orderIn(status, { lines: [lineIn("short")], buyerRequestsCancel: true });
    expect(holdOf(order)).toBeNull();
    expect(nextStepOf(order)).toBe("Nothing: the order is closed.");
  });
});

test.each([
  ["unpaid", "pending", "Waits for payment"],
  ["on_hold", "pending", "Paid"],
  ["awaiting_shipment", "processing", "being arranged"],
  ["partially_shipping", "processing", "being arranged"],
  ["awaiting_collection", "fulfilled", "Waits for the carrier"],
  ["in_transit", "fulfilled", "On its way"],
  ["delivered", "delivered", "Delivered"],
  ["completed", "delivered", "closed"],
  ["cancelled", "cancelled", "closed"],
] as const)(
  "an order that is %s is summed up as %s and says what comes next",
  (status, summary, sentence) => {
    const order = orderIn(status);
    expect(orderSummaryOf(order)).toBe(summary);
    expect(nextStepOf(order)).toContain(sentence);
  },
);

describe("a package is shipped", () => {
  const shipped = (order: ReturnType<typeof orderIn>) =>
    commandsFor(order).flatMap((command) => (command.kind === "ship" ? command.packageIds : []));

  test.each(channelStatuses)("only while the channel expects it: %s", (status) => {
    const expected = status === "awaiting_shipment" || status === "partially_shipping" ? ["package"] : [];
    expect(shipped(orderIn(status))).toEqual(expected);
  });

  test.each(lineStages)(
    "with every line of it held or cancelled, not %s, unless it is one of those",
    (stage) => {
      const order = orderIn("awaiting_shipment", { lines: [lineIn("held"), lineIn(stage, "2")] });
      expect(shipped(order)).toEqual(stage === "held" || stage === "cancelled" ? ["package"] : []);
    },
  );

  test("without the other packages of its order when those have left", () => {
    const order = orderIn("partially_shipping", {
      lines: [lineIn("shipped"), lineIn("held", "2", "second")],
    });
    expect(shipped(order)).toEqual(["second"]);
  });

  test("never before the channel has named it", () => {
    expect(shipped(orderIn("awaiting_shipment", { lines: [lineIn("held", "1", null)] }))).toEqual([]);
  });

  test("when arranged takes its own held lines along and no others", () => {
    const order = orderIn("awaiting_shipment", {
      lines: [lineIn("held"), lineIn("cancelled", "2"), lineIn("held", "3", "second")],
    });
    const arranged = { arranged: true, packageIds: [asId<"ChannelPackage">("package")] } as const;
    const { state, events } = takeShipment(order, arranged);
    expect(stagesOf(state)).toEqual(["arranged", "cancelled", "held"]);
    expect(events).toEqual([
      { kind: "shipment_arranged", packageIds: ["package"] },
      { kind: "lines_left", lineIds: ["1"], how: "arranged" },
    ]);
    expect(takeShipment(state, arranged)).toEqual({ state, events: [] });
  });

  test("and declined, holds the order with the channel's words, noted once", () => {
    const declined = takeShipment(orderIn("awaiting_shipment"), { arranged: false, reason: "No pickup" });
    expect(declined.events).toEqual([{ kind: "shipment_refused", reason: "No pickup" }]);
    expect(takeShipment(declined.state, { arranged: false, reason: "No pickup" }).events).toEqual([]);
    const closed = orderIn("cancelled");
    expect(takeShipment(closed, { arranged: false, reason: "No pickup" })).toEqual({
      state: closed,
      events: [],
    });
  });
});

describe("a person's wish to cancel", () => {
  test("told again while it is on its way is no news and no refusal, as after a crash", () => {
    const order = orderIn("on_hold", { cancelRequest: asking });
    expect(requestCancel(order, { reason: asking.reason, by: asking.by })).toEqual({
      state: order,
      events: [],
    });
  });

  const refusalByStatus: Readonly<Record<ChannelStatus, string | null>> = {
    unpaid: "not_paid_yet",
    on_hold: null,
    awaiting_shipment: null,
    partially_shipping: null,
    awaiting_collection: null,
    in_transit: "already_left",
    delivered: "already_left",
    completed: "already_closed",
    cancelled: "already_closed",
  };
  const wish = { reason: "Sold out", by: asId<"User">("user") };
  const earlier = [null, "requested", "accepted", "refused"] as const;

  test.each(channelStatuses.flatMap((status) => earlier.map((state) => ({ status, state }))))(
    "for an order that is $status, with an earlier one $state",
    ({ status, state }) => {
      const order = orderIn(status, { cancelRequest: state === null ? null : { ...asking, state } });
      const underWay = state === "requested" || state === "accepted";
      const refused = refusalByStatus[status] ?? (underWay ? "already_requested" : null);
      const decision = requestCancel(order, wish);
      if (refused === null) {
        expect(decision).toEqual({
          state: { ...order, cancelRequest: { state: "requested", ...wish } },
          events: [{ kind: "cancel_requested", ...wish }],
        });
      } else {
        expect(decision).toMatchObject({ refused, explanation: expect.stringMatching(/\w+\.$/) });
      }
    },
  );

  test.each(channelStatuses)(
    "is sent to the channel until it answers, unless the order is over: %s",
    (status) => {
      const order = orderIn(status, { cancelRequest: asking, lines: [lineIn("shipped")] });
      const open = status !== "completed" && status !== "cancelled";
      expect(commandsFor(order)).toEqual(open ? [{ kind: "cancel", reason: "Damaged" }] : []);
    },
  );

  test.each([
    [{ accepted: true }, "accepted", { kind: "cancel_accepted" }],
    [{ accepted: false, reason: "Too late" }, "refused", { kind: "cancel_refused", reason: "Too late" }],
  ] as const)("is answered once: %o", (answer, state, event) => {
    const order = orderIn("awaiting_shipment", { cancelRequest: asking });
    const once = takeCancelAnswer(order, answer);
    expect(once.state.cancelRequest).toEqual({ ...asking, state });
    expect(once.events).toEqual([event]);
    expect(commandsFor(once.state).filter((command) => command.kind === "cancel")).toEqual([]);
    expect(takeCancelAnswer(once.state, answer)).toEqual({ state: once.state, events: [] });
  });

  test("frees no unit by itself: the channel's news do", () => {
    const order = orderIn("awaiting_shipment", { cancelRequest: { ...asking, state: "accepted" } });
    expect(commandsFor(order)).toEqual([]);
    expect(stagesOf(order)).toEqual(["held"]);
  });
});

import fc from "fast-check";
import { asId } from "../../../src/domain/ids.ts";
import {
  type ChannelOrder,
  type ChannelStatus,
  channelStatuses,
} from "../../../src/domain/order/channel-order.ts";
import { claimOf } from "../../../src/domain/order/commands.ts";
import { shortageChoices, type ShortagePolicy } from "../../../src/domain/order/shortage.ts";
import { isFinal, isHandedOver } from "../../../src/domain/order/transitions.ts";
import { adjust, at } from "../stock/stock-builders.ts";
import { aLine, OrderAtWork, snapshot, Warehouse } from "./order-builders.ts";

const orderNames = ["a", "b", "c", "d"] as const;
type OrderName = (typeof orderNames)[number];
export const skuNames = ["mug", "plate"] as const;

/** One thing that happens to one of the orders, or to the stock. */
export const aStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("news" as const),
      order: fc.constantFrom(...orderNames),
      status: fc.constantFrom(...channelStatuses),
      cancelledLine: fc.option(fc.constantFrom("1", "2"), { nil: null }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("settle" as const), order: fc.constantFrom(...orderNames) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("lost" as const), order: fc.constantFrom(...orderNames) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("arrange" as const), order: fc.constantFrom(...orderNames) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("cancel" as const),
      order: fc.constantFrom(...orderNames),
      accepted: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("count" as const),
      sku: fc.constantFrom(...skuNames),
      units: fc.integer({ min: -2, max: 3 }).filter((units) => units !== 0),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("choose" as const),
      order: fc.constantFrom(...orderNames),
      course: fc.constantFrom(...shortageChoices),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("leave_short" as const),
      order: fc.constantFrom(...orderNames),
      sku: fc.constantFrom(...skuNames),
    }),
  },
);
type Step = typeof aStep extends fc.Arbitrary<infer Each> ? Each : never;

/** Several orders of two lines each over two SKUs, and the stock they share. */
export class Shop {
  readonly warehouse: Warehouse;
  readonly orders = new Map<OrderName, OrderAtWork>();
  readonly #cancelledLines = new Map<OrderName, Set<string>>();
  readonly #policy: ShortagePolicy;
  #minute = 0;

  constructor(units: number, policy: ShortagePolicy = "ask") {
    this.#policy = policy;
    this.warehouse = new Warehouse({ mug: units, plate: units });
  }

  order(name: OrderName): OrderAtWork {
    const known = this.orders.get(name) ?? new OrderAtWork(this.warehouse);
    known.policy = this.#policy;
    known.now = at(this.#minute);
    this.orders.set(name, known);
    return known;
  }

  do(step: Step): void {
    switch (step.kind) {
      case "news":
        return void this.order(step.order).hear(this.#news(step.order, step.status, step.cancelledLine));
      case "settle":
        return void this.order(step.order).settle();
      case "lost":
        return void this.order(step.order).askStock({ answersAreLost: true });
      case "arrange":
        return void this.order(step.order).arrange();
      case "cancel":
        if (this.order(step.order).state === null) return;
        return void this.order(step.order).cancel(
          step.accepted ? { accepted: true } : { accepted: false, reason: "Too late" },
        );
      case "choose":
        if (this.order(step.order).state === null) return;
        return void this.order(step.order).choose(step.course);
      case "count":
        this.#minute += 1;
        return void this.warehouse.of(step.sku).do(adjust(`count-${this.#minute}`, step.units));
      case "leave_short":
        this.#leaveShort(step.order, step.sku);
    }
  }

  /** A count finds as many units fewer as the order holds, and a person lets the order wait for them. */
  #leaveShort(name: OrderName, sku: (typeof skuNames)[number]): void {
    const { state } = this.order(name);
    const line = state?.lines[skuNames.indexOf(sku)];
    if (state === null || line?.stage !== "held") return;
    this.#minute += 1;
    const stock = this.warehouse.of(sku);
    const rank = { paidAt: state.paidAt, orderedAt: state.orderedAt };
    stock.do({
      kind: "count",
      countId: `count-${this.#minute}`,
      onHand: Math.max(0, (stock.levels[0]?.onHand ?? 0) - line.quantity),
      expectedVersion: null,
      reason: "fewer than thought",
      actorId: null,
      locationId: null,
      leaveShort: [{ claim: claimOf(state, line), quantity: line.quantity, rank, locationId: null }],
    });
  }

  /** Every order is told its end and settled, twice round, since what one gives back serves another. */
  close(): void {
    for (const name of this.orders.keys()) {
      const { state } = this.order(name);
      if (state === null) continue;
      if (!isFinal(state.channelStatus)) {
        const end = isHandedOver(state.channelStatus) ? "completed" : "cancelled";
        this.order(name).hear(this.#news(name, end, null));
      }
    }
    for (const _ of [1, 2]) for (const order of this.orders.values()) order.settle();
  }

  #news(name: OrderName, status: ChannelStatus, cancelledLine: string | null): ChannelOrder {
    this.#minute += 1;
    const cancelled = this.#cancelledLines.get(name) ?? new Set<string>();
    this.#cancelledLines.set(name, cancelled);
    if (cancelledLine !== null && !isHandedOver(status)) cancelled.add(cancelledLine);
    const packageId = asId<"ChannelPackage">(`package-${name}`);
    return snapshot(status, {
      orderId: asId(name),
      updatedAt: at(this.#minute),
      lines: ["1", "2"].map((id, index) =>
        aLine(id, {
          channelSkuId: asId(skuNames[index]!),
          packageId,
          status: cancelled.has(id) ? "cancelled" : status,
        }),
      ),
    });
  }
}

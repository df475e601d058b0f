import { asId, type ChannelSkuId, type ReservationId, type SkuId } from "../../../src/domain/ids.ts";
import type { ChannelLine, ChannelOrder, ChannelStatus } from "../../../src/domain/order/channel-order.ts";
import { commandsFor, type OrderCommand } from "../../../src/domain/order/commands.ts";
import {
  type OrderDecision,
  receiveOrder,
  requestCancel,
  type SnapshotContext,
  takeCancelAnswer,
  takeShipment,
  takeSnapshot,
} from "../../../src/domain/order/decide.ts";
import {
  type LineAnswer,
  takeLeftShort,
  takeServed,
  takeStockAnswers,
} from "../../../src/domain/order/stock-answers.ts";
import { isRefusal } from "../../../src/domain/decision.ts";
import type { OrderEvent } from "../../../src/domain/order/events.ts";
import type { LineStage, OrderLine, OrderState } from "../../../src/domain/order/order.ts";
import {
  chooseCourse,
  type ShortageChoice,
  type ShortagePolicy,
  takeShortage,
} from "../../../src/domain/order/shortage.ts";
import type { ClaimOperation, StockAnswer, StockOperation } from "../../../src/domain/stock/operation.ts";
import { at, level, StockInMemory } from "../stock/stock-builders.ts";

const mug = asId<"ChannelSku">("mug");

/** Rounds after which an order counts as going round in circles; its workflow allows twice as many. */
const roundsMaximum = 10;

export function aLine(id: string, overrides: Partial<ChannelLine> = {}): ChannelLine {
  return {
    lineId: asId(id),
    channelSkuId: mug,
    channelProductId: asId("product"),
    sellerSku: null,
    productName: "Mug",
    skuName: null,
    quantity: 1,
    status: "unpaid",
    packageId: asId("package"),
    salePriceMinor: 500,
    ...overrides,
  };
}

const unpaidOnly: readonly ChannelStatus[] = ["unpaid"];

/** What the channel says of an order in a state: lines in that state too, paid unless it says otherwise. */
export function snapshot(status: ChannelStatus, overrides: Partial<ChannelOrder> = {}): ChannelOrder {
  const { lines = [aLine("1", { status })], ...rest } = overrides;
  return {
    orderId: asId("order"),
    status,
    onHold: status === "on_hold",
    createdAt: at(1),
    updatedAt: at(1),
    paidAt: unpaidOnly.includes(status) ? null : at(2),
    fulfilledBy: "seller",
    shipping: "channel",
    warehouseId: null,
    shipBy: null,
    cancelBy: null,
    cancelReason: null,
    buyerRequestsCancel: false,
    trackingNumber: null,
    currency: "GBP",
    totalMinor: 500,
    lines,
    ...rest,
  };
}

/** The catalogue knows every SKU the snapshot names, unless told which it knows. */
export function contextOf(
  order: ChannelOrder,
  overrides: Partial<SnapshotContext> & { readonly known?: readonly string[] } = {},
): SnapshotContext {
  const { known, ...rest } = overrides;
  const named = order.lines.map((line) => line.channelSkuId);
  return {
    orderRef: `shop/${order.orderId}`,
    skuIds: new Map<ChannelSkuId, SkuId>(
      named.filter((id) => known?.includes(id) ?? true).map((id) => [id, asId<"Sku">(`sku-${id}`)]),
    ),
    locationId: null,
    stockOpenedAt: at(0),
    ...rest,
  };
}

export function orderLine(stage: LineStage, overrides: Partial<OrderLine> = {}): OrderLine {
  return {
    lineId: asId("1"),
    skuId: asId("sku-mug"),
    channelSkuId: mug,
    quantity: 1,
    packageId: asId("package"),
    stage,
    generation: 1,
    rankedPaidAt: null,
    ...overrides,
  };
}

/** An order in the middle of its life, whatever led there. */
export function orderIn(channelStatus: ChannelStatus, overrides: Partial<OrderState> = {}): OrderState {
  return {
    orderRef: "shop/order",
    channelStatus,
    channelOnHold: channelStatus === "on_hold",
    buyerRequestsCancel: false,
    shipping: "channel",
    locationId: null,
    orderedAt: at(1),
    paidAt: unpaidOnly.includes(channelStatus) ? null : at(2),
    shipBy: null,
    cancelBy: null,
    trackingNumber: null,
    shipmentRefusal: null,
    cancelRequest: null,
    shortage: null,
    othersReleased: false,
    lines: [orderLine("held")],
    ...overrides,
  };
}

export function stagesOf(order: OrderState | null): readonly LineStage[] {
  return order?.lines.map((line) => line.stage) ?? [];
}

export function eventKinds(events: readonly OrderEvent[]): readonly string[] {
  return events.map((event) => event.kind);
}

/** The stock of some SKUs, in memory, under the real `applyBatch`. */
export class Warehouse {
  readonly skus = new Map<SkuId, StockInMemory>();

  constructor(units: Readonly<Record<string, number>>) {
    for (const [channelSku, onHand] of Object.entries(units)) {
      this.skus.set(asId(`sku-${channelSku}`), new StockInMemory([level(onHand)]));
    }
  }

  of(channelSku: string): StockInMemory {
    const stock = this.skus.get(asId(`sku-${channelSku}`));
    if (stock === undefined) throw new Error(`The warehouse has no ${channelSku}`);
    return stock;
  }

  numbers(channelSku: string): { readonly onHand: number; readonly reserved: number } {
    const [first] = this.of(channelSku).levels;
    return { onHand: first?.onHand ?? 0, reserved: first?.reserved ?? 0 };
  }

  ask(skuId: SkuId, operation: StockOperation): StockAnswer {
    const answer = this.skus.get(skuId)?.do(operation).answers[0];
    return answer ?? { outcome: "refused", reason: "unknown_location" };
  }

  claimsIn(state: "held" | "waiting", orderRef: string): ReadonlySet<ReservationId> {
    const claims = new Set<ReservationId>();
    for (const stock of this.skus.values()) {
      for (const [id, claim] of stock.claims) {
        if (claim.state === state && id.startsWith(`${orderRef}/`)) claims.add(id);
      }
    }
    return claims;
  }
}

/**
 * One order at work: what its workflow and its activities do between two pieces of news, without anything running. News
 * are stored as the database stores them: older ones and ones with equal contents are none.
 */
export class OrderAtWork {
  state: OrderState | null = null;
  /** What its seller wants done about shortages, and what time it is. */
  policy: ShortagePolicy = "ask";
  now = at(0);
  readonly events: OrderEvent[] = [];
  readonly #ask: (skuId: SkuId, operation: StockOperation) => StockAnswer;
  readonly #claimsIn: Warehouse["claimsIn"];
  #latest: ChannelOrder | null = null;

  constructor(stock: Pick<Warehouse, "ask" | "claimsIn">) {
    this.#ask = (skuId, operation) => stock.ask(skuId, operation);
    this.#claimsIn = (state, orderRef) => stock.claimsIn(state, orderRef);
  }

  get order(): OrderState {
    if (this.state === null) throw new Error("The order has not been heard of");
    return this.state;
  }

  get stages(): readonly LineStage[] {
    return stagesOf(this.state);
  }

  /** News arrive and everything that follows from them is done. */
  tell(news: ChannelOrder, context: SnapshotContext = contextOf(news)): this {
    return this.hear(news, context).settle();
  }

  /** News arrive; nothing is done about them yet. */
  hear(news: ChannelOrder, context: SnapshotContext = contextOf(news)): this {
    const stale = this.#latest !== null && news.updatedAt < this.#latest.updatedAt;
    if (stale || JSON.stringify(news) === JSON.stringify(this.#latest)) return this;
    this.#latest = news;
    this.#take(this.state === null ? receiveOrder(news, context) : takeSnapshot(this.state, news, context));
    return this;
  }

  commands(): readonly OrderCommand[] {
    return this.state === null ? [] : commandsFor(this.state);
  }

  /** Asks the stock for what the order wants of it and takes the answers in, unless they are lost on the way. */
  askStock(options: { readonly answersAreLost?: boolean } = {}): boolean {
    const wanted = this.commands().filter((command) => command.kind === "stock");
    const answers = wanted.map(({ lineId, skuId, operation }) =>
      lineAnswer(lineId, operation, this.#ask(skuId, operation)),
    );
    if (options.answersAreLost !== true && answers.length > 0) {
      this.#take(takeStockAnswers(this.order, answers));
    }
    return wanted.length > 0;
  }

  /** Round and round until nothing is wanted of the stock. */
  settle(): this {
    for (let round = 0; round < roundsMaximum; round += 1) {
      if (this.state === null) return this;
      this.#look(this.state);
      if (!this.askStock()) return this;
    }
    throw new Error(`The order goes round in circles: ${JSON.stringify(this.commands())}`);
  }

  /** What the stock has done to the order's claims by itself. */
  #look(state: OrderState): void {
    const held = this.#claimsIn("held", state.orderRef);
    this.#take(takeLeftShort(state, { held, waiting: this.#claimsIn("waiting", state.orderRef) }));
    this.#take(takeServed(this.order, held));
    this.#take(takeShortage(this.order, { policy: this.policy, now: this.now }));
  }

  /** The channel arranges, or declines, whatever shipment the order asks for. */
  arrange(refusal?: string): this {
    for (const command of this.commands()) {
      if (command.kind !== "ship") continue;
      const result =
        refusal === undefined
          ? ({ arranged: true, packageIds: command.packageIds } as const)
          : ({ arranged: false, reason: refusal } as const);
      this.#take(takeShipment(this.order, result));
    }
    return this.settle();
  }

  /** A person decides what is done about missing units. */
  choose(course: ShortageChoice): this {
    const decision = chooseCourse(this.order, { course, by: asId("user") });
    if (!isRefusal(decision)) this.#take(decision);
    return this;
  }

  /** A person asks to cancel, and the channel answers. */
  cancel(answer: { accepted: true } | { accepted: false; reason: string } | null = { accepted: true }): this {
    const decision = requestCancel(this.order, { reason: "Out of stock", by: null });
    if (isRefusal(decision)) return this;
    this.#take(decision);
    if (answer !== null) this.#take(takeCancelAnswer(this.order, answer));
    return this;
  }

  #take(decision: OrderDecision): void {
    this.state = decision.state;
    this.events.push(...decision.events);
  }
}

export function lineAnswer(lineId: string, operation: ClaimOperation, answer: StockAnswer): LineAnswer {
  const paidAt =
    operation.kind === "reserve"
      ? operation.rank.paidAt
      : operation.kind === "rank"
        ? operation.paidAt
        : null;
  return { lineId, generation: operation.claim.generation, operation: operation.kind, answer, paidAt };
}

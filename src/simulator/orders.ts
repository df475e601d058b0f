import { Cancelling } from "./cancelling.ts";
import { OrderLife } from "./order-life.ts";
import { cancelReason, type Move, moves, seconds } from "./order-rules.ts";
import type { CancelRole, Order, OrderStatus, StayDurations } from "./records.ts";
import type { Scheduler } from "./scheduler.ts";
import { Shipping } from "./shipping.ts";
import type { Books } from "./state.ts";
import type { Stock } from "./stock.ts";
import type { Webhooks } from "./webhooks.ts";

/**
 * The orders of the shop. Each state ends by a call of the seller's, by a control, or by itself when its time is up. Every
 * change of status is one synchronous step: order, stock and webhooks change together and reach the disk in one batch.
 */

export interface PlaceOrder {
  /** One entry a unit. */
  readonly skuIds: readonly string[];
  readonly shippingType: Order["shippingType"];
  readonly durations: StayDurations;
  readonly oversell: boolean;
  readonly buyerCancelsInMs: number | null;
  readonly burstId: string | null;
}

export class Orders {
  readonly cancelling: Cancelling;
  readonly shipping: Shipping;
  readonly #books: Books;
  readonly #stock: Stock;
  readonly #life: OrderLife;

  constructor(books: Books, stock: Stock, webhooks: Webhooks, scheduler: Scheduler) {
    this.#books = books;
    this.#stock = stock;
    this.#life = new OrderLife(books, stock, webhooks, scheduler, {
      moves: (order, move, by) => this.move(order, move, by),
      buyerCancels: (order) => this.cancelling.request(order, "buyer_changed_their_mind"),
      isGranted: (order) => this.cancelling.answer(order, true),
    });
    this.cancelling = new Cancelling(books, stock, webhooks, this.#life);
    this.shipping = new Shipping(books, this.#life);
  }

  /** Sets the times of all open orders; what fell due while nothing ran happens at once. */
  resume(): void {
    this.#life.resume();
  }

  /** A buyer's order, or null when too little is available and it may not be oversold. */
  place(request: PlaceOrder): Order | null {
    const warehouseId = this.#warehouseFor(request.skuIds, request.oversell);
    if (warehouseId === null) return null;
    const now = Date.now();
    const oversold = this.#stock.take(request.skuIds, warehouseId);
    const order: Order = {
      id: this.#books.newId("order"),
      burstId: request.burstId,
      status: "UNPAID",
      shippingType: request.shippingType,
      warehouseId,
      buyerId: this.#books.newId("buyer"),
      lines: request.skuIds.map((skuId, index) => ({
        id: this.#books.newId("line"),
        skuId,
        oversold: oversold[index] === true,
        packageId: null,
      })),
      parcels: [],
      durations: request.durations,
      createTime: seconds(now),
      updateTime: seconds(now),
      statusChanges: [],
      deadlines: null,
      dueMilliseconds: null,
      buyerCancelsMilliseconds: request.buyerCancelsInMs === null ? null : now + request.buyerCancelsInMs,
      cancellation: null,
      shipCallsAccepted: 0,
      cancelCount: 0,
    };
    this.#life.enter(order, "UNPAID", "BUYER");
    return order;
  }

  /** Makes a move of the buyer or of TikTok now; false when the order's status does not allow it. */
  move(order: Order, move: Move, by: CancelRole): boolean {
    const { from, to } = moves[move];
    if (!(from as readonly OrderStatus[]).includes(order.status)) return false;
    if (move === "cancel") this.cancelling.cancel(order, by, cancelReason(order, by));
    else this.#life.enter(order, to, by);
    return true;
  }

  /** The first warehouse that has all the units; with overselling the first that has the SKUs at all. */
  #warehouseFor(skuIds: readonly string[], oversell: boolean): string | null {
    const units = new Map<string, number>();
    for (const skuId of skuIds) units.set(skuId, (units.get(skuId) ?? 0) + 1);
    for (const { id } of this.#books.warehouses.all()) {
      if ([...units].every(([skuId, count]) => this.#stock.available(skuId, id) >= count)) return id;
    }
    if (!oversell) return null;
    for (const { id } of this.#books.warehouses.all()) {
      const sellsAll = [...units.keys()].every((skuId) =>
        this.#books.skus.get(skuId).cells.some((cell) => cell.warehouseId === id),
      );
      if (sellsAll) return id;
    }
    return null;
  }
}

import { draw } from "./catalogue.ts";
import {
  answerMilliseconds,
  cancelReason,
  deadlineMilliseconds,
  isPending,
  type Move,
  moves,
  parcelStatuses,
  seconds,
  sellerCancels,
  stays,
  whyNotShippable,
} from "./order-rules.ts";
import type { Cancellation, CancelRole, Order, OrderStatus, Parcel, StayDurations } from "./records.ts";
import { type Refusal, refusals } from "./refusal.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Books } from "./state.ts";
import type { Stock } from "./stock.ts";
import { topics, type Webhooks } from "./webhooks.ts";

/**
 * The life of an order. Each state ends by a call of the seller's, by a control, or by itself when its time is up; the
 * due time is part of the order's record, so that a restart goes on where it was. Every change of status is one
 * synchronous step: order, stock and webhooks change together and reach the disk in one batch.
 */

/** The carrier of everything shipped through TikTok. */
export const tiktokCarrier = { id: "6617675021119438849", name: "Royal Mail" };

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
  readonly #books: Books;
  readonly #stock: Stock;
  readonly #webhooks: Webhooks;
  readonly #scheduler: Scheduler;
  readonly #ordersByParcel = new Map<string, Order>();

  constructor(books: Books, stock: Stock, webhooks: Webhooks, scheduler: Scheduler) {
    this.#books = books;
    this.#stock = stock;
    this.#webhooks = webhooks;
    this.#scheduler = scheduler;
  }

  /** Sets the times of all open orders; what fell due while nothing ran happens at once. */
  resume(): void {
    for (const order of this.#books.orders.all()) {
      this.#index(order);
      this.#schedule(order);
    }
  }

  /** A parcel and its order. */
  findParcel(parcelId: string): { readonly order: Order; readonly parcel: Parcel } | undefined {
    const order = this.#ordersByParcel.get(parcelId);
    const parcel = order?.parcels.find(({ id }) => id === parcelId);
    return order === undefined || parcel === undefined ? undefined : { order, parcel };
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
    this.#enter(order, "UNPAID", "BUYER");
    return order;
  }

  /** Makes a move of the buyer or of TikTok now; false when the order's status does not allow it. */
  move(order: Order, move: Move, by: CancelRole): boolean {
    const { from, to } = moves[move];
    if (!(from as readonly OrderStatus[]).includes(order.status)) return false;
    if (move === "cancel") this.#cancel(order, by, cancelReason(order, by));
    else this.#enter(order, to, by);
    return true;
  }

  /** The buyer asks: granted at once while unpaid or on hold, put to the seller while awaiting shipment. */
  requestCancel(order: Order, reason: string): boolean {
    if (order.status === "UNPAID" || order.status === "ON_HOLD") return this.move(order, "cancel", "BUYER");
    if (order.status !== "AWAITING_SHIPMENT" || isPending(order.cancellation)) return false;
    const now = Date.now();
    order.cancellation = {
      id: this.#books.newId("cancel"),
      role: "BUYER",
      status: "CANCELLATION_REQUEST_PENDING",
      reason,
      createTime: seconds(now),
      updateTime: seconds(now),
      approvedMilliseconds: now + this.#books.scaled(answerMilliseconds),
    };
    this.#save(order);
    this.#tellCancellation(order, order.cancellation);
    return true;
  }

  /** The seller cancels the whole order. */
  cancelBySeller(order: Order, reason: string): Refusal | null {
    if (!sellerCancels.has(order.status)) return refusals.cancelNotAllowed;
    this.#cancel(order, "SELLER", reason);
    return null;
  }

  /** The seller's answer to a buyer's request. */
  answerCancel(order: Order, approved: boolean): Refusal | null {
    const { cancellation } = order;
    if (!isPending(cancellation)) return refusals.cancelAnswered;
    if (approved) {
      this.#settle(order, cancellation, "CANCELLATION_REQUEST_SUCCESS");
      this.#cancel(order, "BUYER", cancellation.reason);
    } else {
      this.#settle(order, cancellation, "CANCELLATION_REQUEST_CANCEL");
    }
    return null;
  }

  /** Arranges a parcel's hand-over through TikTok. */
  shipParcel(order: Order, parcel: Parcel, handoverMethod: string): Refusal | null {
    if (parcel.status === "PROCESSING") {
      parcel.shipCallsRepeated += 1;
      this.#save(order);
      return refusals.packageShipped;
    }
    const refusal = whyNotShippable(order);
    if (refusal !== null) return refusal;
    if (order.shippingType !== "TIKTOK") return refusals.shippingTypeWrong;
    parcel.status = "PROCESSING";
    parcel.handoverMethod = handoverMethod;
    parcel.shippingProviderId = tiktokCarrier.id;
    parcel.trackingNumber = `RM${draw(parcel.id, "tracking", 100_000_000, 999_999_999)}GB`;
    parcel.shipCallsAccepted += 1;
    this.#shipped(order);
    return null;
  }

  /** The seller tells that lines left with a carrier of their own; makes their parcel. */
  markShipped(
    order: Order,
    lineIds: readonly string[],
    trackingNumber: string,
    shippingProviderId: string,
  ): Refusal | Parcel {
    const refusal = whyNotShippable(order);
    if (refusal !== null) return refusal;
    if (order.shippingType !== "SELLER") return refusals.shippingTypeWrong;
    const lines = order.lines.filter((line) => lineIds.includes(line.id));
    if (lines.length !== new Set(lineIds).size) return refusals.lineUnknown;
    if (lines.some((line) => line.packageId !== null)) return refusals.packageShipped;
    const parcel: Parcel = {
      id: this.#books.newId("parcel"),
      status: "PROCESSING",
      handoverMethod: null,
      trackingNumber,
      shippingProviderId,
      shipCallsAccepted: 1,
      shipCallsRepeated: 0,
    };
    order.parcels.push(parcel);
    for (const line of lines) line.packageId = parcel.id;
    this.#shipped(order);
    return parcel;
  }

  #shipped(order: Order): void {
    order.shipCallsAccepted += 1;
    const everything = order.lines.every((line) =>
      order.parcels.some((parcel) => parcel.id === line.packageId && parcel.status === "PROCESSING"),
    );
    const status = everything ? "AWAITING_COLLECTION" : "PARTIALLY_SHIPPING";
    if (status === order.status) this.#save(order);
    else this.#enter(order, status, "SELLER");
  }

  #cancel(order: Order, role: CancelRole, reason: string): void {
    const now = seconds(Date.now());
    if (order.status !== "IN_TRANSIT") this.#stock.giveBack(order);
    const asked = order.cancellation?.status === "CANCELLATION_REQUEST_CANCEL" ? null : order.cancellation;
    const cancellation: Cancellation = asked ?? {
      id: this.#books.newId("cancel"),
      role,
      status: "CANCELLATION_REQUEST_SUCCESS",
      reason,
      createTime: now,
      updateTime: now,
      approvedMilliseconds: null,
    };
    order.cancellation = cancellation;
    order.cancelCount += 1;
    this.#enter(order, "CANCELLED", role);
    this.#settle(order, cancellation, "CANCELLATION_REQUEST_COMPLETE");
  }

  #settle(order: Order, cancellation: Cancellation, status: Cancellation["status"]): void {
    cancellation.status = status;
    cancellation.updateTime = seconds(Date.now());
    cancellation.approvedMilliseconds = null;
    this.#save(order);
    this.#tellCancellation(order, cancellation);
  }

  #enter(order: Order, status: OrderStatus, by: CancelRole): void {
    const now = Date.now();
    if (status === "IN_TRANSIT") this.#stock.deduct(order);
    order.status = status;
    order.updateTime = seconds(now);
    order.statusChanges.push({ status, by, atMilliseconds: now });
    // A partly shipped order keeps the deadline it had for the rest.
    if (status !== "PARTIALLY_SHIPPING") order.dueMilliseconds = this.#dueTime(order, now);
    if (status === "AWAITING_SHIPMENT") this.#openShipment(order, now);
    const parcelStatus = parcelStatuses[status];
    if (parcelStatus !== undefined) for (const parcel of order.parcels) parcel.status = parcelStatus;
    this.#save(order);
    this.#webhooks.tellShop(topics.orderStatus, {
      order_id: order.id,
      // The order API spells this state with two more letters; so do TikTok's own pages.
      order_status: status === "CANCELLED" ? "CANCEL" : status,
      is_on_hold_order: status === "UNPAID" || status === "ON_HOLD",
      update_time: order.updateTime,
    });
  }

  #openShipment(order: Order, now: number): void {
    order.deadlines = {
      readyToShipTime: seconds(now + this.#books.scaled(deadlineMilliseconds.readyToShip)),
      carrierPickUpTime: seconds(now + this.#books.scaled(deadlineMilliseconds.carrierPickUp)),
      deliveryTime: seconds(now + this.#books.scaled(deadlineMilliseconds.delivery)),
      cancelTime: order.dueMilliseconds === null ? null : seconds(order.dueMilliseconds),
    };
    if (order.shippingType === "SELLER") return;
    const parcel: Parcel = {
      id: this.#books.newId("parcel"),
      status: "TO_FULFILL",
      handoverMethod: null,
      trackingNumber: null,
      shippingProviderId: null,
      shipCallsAccepted: 0,
      shipCallsRepeated: 0,
    };
    order.parcels.push(parcel);
    for (const line of order.lines) line.packageId = parcel.id;
  }

  #dueTime(order: Order, now: number): number | null {
    const stay = stays[order.status];
    if (stay === undefined) return null;
    const told = order.durations[stay.member];
    if (told === null) return null;
    return now + (told ?? this.#books.scaled(stay.milliseconds));
  }

  #save(order: Order): void {
    this.#books.orders.save(order);
    this.#index(order);
    this.#schedule(order);
  }

  #index(order: Order): void {
    for (const { id } of order.parcels) this.#ordersByParcel.set(id, order);
  }

  #schedule(order: Order): void {
    this.#at(`order/${order.id}`, order.dueMilliseconds, () => {
      const stay = stays[order.status === "PARTIALLY_SHIPPING" ? "AWAITING_SHIPMENT" : order.status];
      if (stay !== undefined) this.move(order, stay.move, stay.move === "pay" ? "BUYER" : "SYSTEM");
    });
    this.#at(`buyer/${order.id}`, order.buyerCancelsMilliseconds, () => {
      order.buyerCancelsMilliseconds = null;
      this.#save(order);
      this.requestCancel(order, "buyer_changed_their_mind");
    });
    this.#at(`approval/${order.id}`, order.cancellation?.approvedMilliseconds ?? null, () => {
      this.answerCancel(order, true);
    });
  }

  #at(key: string, atMilliseconds: number | null, action: () => void): void {
    if (atMilliseconds === null) this.#scheduler.cancel(key);
    else this.#scheduler.set(key, atMilliseconds, action);
  }

  #tellCancellation(order: Order, cancellation: Cancellation): void {
    this.#webhooks.tellShop(topics.cancellation, {
      order_id: order.id,
      cancel_id: cancellation.id,
      cancel_status:
        cancellation.status === "CANCELLATION_REQUEST_CANCEL"
          ? "CANCELLATION_REQUEST_CANCELLED"
          : cancellation.status,
      cancellations_role: cancellation.role,
      create_time: cancellation.createTime,
    });
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

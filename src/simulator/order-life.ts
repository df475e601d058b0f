import { deadlineMilliseconds, type Move, parcelStatuses, seconds, stays } from "./order-rules.ts";
import type { CancelRole, Order, OrderStatus, Parcel } from "./records.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Books } from "./state.ts";
import type { Stock } from "./stock.ts";
import { topics, type Webhooks } from "./webhooks.ts";

/** What happens by itself when a time of an order is up. */
export interface DueActions {
  /** The order has stayed in its state for as long as it does. */
  moves(order: Order, move: Move, by: CancelRole): void;
  /** The buyer's change of mind, decided when the order was placed. */
  buyerCancels(order: Order): void;
  /** A buyer's request that the seller left unanswered. */
  isGranted(order: Order): void;
}

/**
 * How an order enters a state and leaves it in time. The due times are part of its record, so that a restart goes on where
 * it was.
 */
export class OrderLife {
  readonly #books: Books;
  readonly #stock: Stock;
  readonly #webhooks: Webhooks;
  readonly #scheduler: Scheduler;
  readonly #due: DueActions;
  readonly #ordersByParcel = new Map<string, Order>();

  constructor(books: Books, stock: Stock, webhooks: Webhooks, scheduler: Scheduler, due: DueActions) {
    this.#books = books;
    this.#stock = stock;
    this.#webhooks = webhooks;
    this.#scheduler = scheduler;
    this.#due = due;
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

  /** Begins a state: record, stock, parcels and message. Whether it may be entered is for the caller to know. */
  enter(order: Order, status: OrderStatus, by: CancelRole): void {
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
    this.save(order);
    this.#webhooks.tellShop(topics.orderStatus, {
      order_id: order.id,
      // The order API spells this state with two more letters; so do TikTok's own pages.
      order_status: status === "CANCELLED" ? "CANCEL" : status,
      is_on_hold_order: status === "UNPAID" || status === "ON_HOLD",
      update_time: order.updateTime,
    });
  }

  /** Writes an order down and sets its times. */
  save(order: Order): void {
    this.#books.orders.save(order);
    this.#index(order);
    this.#schedule(order);
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

  #index(order: Order): void {
    for (const { id } of order.parcels) this.#ordersByParcel.set(id, order);
  }

  #schedule(order: Order): void {
    this.#at(`order/${order.id}`, order.dueMilliseconds, () => {
      const stay = stays[order.status === "PARTIALLY_SHIPPING" ? "AWAITING_SHIPMENT" : order.status];
      if (stay !== undefined) this.#due.moves(order, stay.move, stay.move === "pay" ? "BUYER" : "SYSTEM");
    });
    this.#at(`buyer/${order.id}`, order.buyerCancelsMilliseconds, () => {
      order.buyerCancelsMilliseconds = null;
      this.save(order);
      this.#due.buyerCancels(order);
    });
    this.#at(`approval/${order.id}`, order.cancellation?.approvedMilliseconds ?? null, () => {
      this.#due.isGranted(order);
    });
  }

  #at(key: string, atMilliseconds: number | null, action: () => void): void {
    if (atMilliseconds === null) this.#scheduler.cancel(key);
    else this.#scheduler.set(key, atMilliseconds, action);
  }
}

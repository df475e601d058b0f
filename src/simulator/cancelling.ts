import { answerMilliseconds, cancelReason, isPending, seconds, sellerCancels } from "./order-rules.ts";
import type { OrderLife } from "./order-life.ts";
import type { Cancellation, CancelRole, Order } from "./records.ts";
import { type Refusal, refusals } from "./refusal.ts";
import type { Books } from "./state.ts";
import type { Stock } from "./stock.ts";
import { topics, type Webhooks } from "./webhooks.ts";

/** Who may cancel an order when, and what becomes of a buyer's request. */
export class Cancelling {
  readonly #books: Books;
  readonly #stock: Stock;
  readonly #webhooks: Webhooks;
  readonly #life: OrderLife;

  constructor(books: Books, stock: Stock, webhooks: Webhooks, life: OrderLife) {
    this.#books = books;
    this.#stock = stock;
    this.#webhooks = webhooks;
    this.#life = life;
  }

  /** The buyer asks: granted at once while unpaid or on hold, put to the seller while awaiting shipment. */
  request(order: Order, reason: string): boolean {
    if (order.status === "UNPAID" || order.status === "ON_HOLD") {
      this.cancel(order, "BUYER", cancelReason(order, "BUYER"));
      return true;
    }
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
    this.#life.save(order);
    this.#tellCancellation(order, order.cancellation);
    return true;
  }

  /** The seller cancels the whole order. */
  bySeller(order: Order, reason: string): Refusal | null {
    if (!sellerCancels.has(order.status)) return refusals.cancelNotAllowed;
    this.cancel(order, "SELLER", reason);
    return null;
  }

  /** The seller's answer to a buyer's request. */
  answer(order: Order, approved: boolean): Refusal | null {
    const { cancellation } = order;
    if (!isPending(cancellation)) return refusals.cancelAnswered;
    if (approved) {
      this.#settle(order, cancellation, "CANCELLATION_REQUEST_SUCCESS");
      this.cancel(order, "BUYER", cancellation.reason);
    } else {
      this.#settle(order, cancellation, "CANCELLATION_REQUEST_CANCEL");
    }
    return null;
  }

  /** Cancels an order whose status allows it. */
  cancel(order: Order, role: CancelRole, reason: string): void {
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
    this.#life.enter(order, "CANCELLED", role);
    this.#settle(order, cancellation, "CANCELLATION_REQUEST_COMPLETE");
  }

  #settle(order: Order, cancellation: Cancellation, status: Cancellation["status"]): void {
    cancellation.status = status;
    cancellation.updateTime = seconds(Date.now());
    cancellation.approvedMilliseconds = null;
    this.#life.save(order);
    this.#tellCancellation(order, cancellation);
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
}

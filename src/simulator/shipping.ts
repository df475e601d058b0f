import { draw } from "./catalogue.ts";
import { whyNotShippable } from "./order-rules.ts";
import type { OrderLife } from "./order-life.ts";
import type { Order, Parcel } from "./records.ts";
import { type Refusal, refusals } from "./refusal.ts";
import type { Books } from "./state.ts";

/** The carrier of everything shipped through TikTok. */
export const tiktokCarrier = { id: "6617675021119438849", name: "Royal Mail" };

/** How the seller's parcels leave, through TikTok or by a carrier of their own. */
export class Shipping {
  readonly #books: Books;
  readonly #life: OrderLife;

  constructor(books: Books, life: OrderLife) {
    this.#books = books;
    this.#life = life;
  }

  /** A parcel and its order. */
  findParcel(parcelId: string): { readonly order: Order; readonly parcel: Parcel } | undefined {
    return this.#life.findParcel(parcelId);
  }

  /** Arranges a parcel's hand-over through TikTok. */
  shipParcel(order: Order, parcel: Parcel, handoverMethod: string): Refusal | null {
    if (parcel.status === "PROCESSING") {
      parcel.shipCallsRepeated += 1;
      this.#life.save(order);
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
    if (status === order.status) this.#life.save(order);
    else this.#life.enter(order, status, "SELLER");
  }
}

import { draw } from "./catalogue.ts";
import type { Orders } from "./orders.ts";
import type { Burst, Sku, StayDurations } from "./records.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Books } from "./state.ts";

/**
 * What buyers do by themselves: a steady stream, and bursts as a viral video makes them. A burst is one request that
 * the simulator owns: how far it came is written in the same batch as its orders, so that after a kill it goes on with
 * the next order, neither losing nor repeating one.
 */

/** Orders between two looks at other work. */
const burstStep = 20;
const minute = 60_000;

export interface BurstRequest {
  readonly orders: number;
  readonly skuIds: readonly string[];
  readonly linesPerOrder: number;
  readonly oversell: boolean;
  readonly durations: StayDurations;
  /** Real milliseconds over which the orders are spread. */
  readonly overMs: number;
}

export class Scenarios {
  readonly #books: Books;
  readonly #orders: Orders;
  readonly #scheduler: Scheduler;

  constructor(books: Books, orders: Orders, scheduler: Scheduler) {
    this.#books = books;
    this.#orders = orders;
    this.#scheduler = scheduler;
  }

  resume(): void {
    for (const burst of this.#books.bursts.all()) this.#continue(burst);
    this.setPace();
  }

  /** Begins a burst and returns at once. */
  startBurst(request: BurstRequest): Burst {
    const burst: Burst = {
      ...request,
      skuIds: [...request.skuIds],
      id: this.#books.newId("burst"),
      startMilliseconds: Date.now(),
      tried: 0,
      created: 0,
    };
    this.#books.bursts.save(burst);
    this.#continue(burst);
    return burst;
  }

  /** Starts, stops or changes the steady stream as the settings say. */
  setPace(): void {
    const { ordersPerMinute } = this.#books.settings;
    if (ordersPerMinute === 0) {
      this.#scheduler.cancel("stream");
      return;
    }
    this.#scheduler.set("stream", Date.now() + minute / ordersPerMinute, () => {
      this.#placeStreamOrder();
      this.setPace();
    });
  }

  #continue(burst: Burst): void {
    if (burst.tried >= burst.orders) return;
    this.#scheduler.set(`burst/${burst.id}`, this.#dueTime(burst), () => {
      for (let step = 0; step < burstStep; step += 1) {
        if (burst.tried >= burst.orders || this.#dueTime(burst) > Date.now()) break;
        this.#placeBurstOrder(burst);
      }
      this.#books.bursts.save(burst);
      this.#continue(burst);
    });
  }

  #dueTime(burst: Burst): number {
    return burst.startMilliseconds + (burst.overMs * burst.tried) / burst.orders;
  }

  #placeBurstOrder(burst: Burst): void {
    const skuIds = Array.from({ length: burst.linesPerOrder }, (_, line) => {
      const turn = burst.tried * burst.linesPerOrder + line;
      return burst.skuIds[turn % burst.skuIds.length] ?? "";
    });
    const order = this.#orders.place({
      skuIds,
      shippingType: "TIKTOK",
      durations: burst.durations,
      oversell: burst.oversell,
      buyerCancelsInMs: null,
      burstId: burst.id,
    });
    burst.tried += 1;
    if (order !== null) burst.created += 1;
  }

  #placeStreamOrder(): void {
    const forSale = [...this.#books.skus.all()].filter(isForSale);
    if (forSale.length === 0) return;
    const orderSeed = this.#books.newId("buyer");
    const units = draw(orderSeed, "units", 1, 3);
    const skuIds = Array.from({ length: units }, (_, unit) => {
      return forSale[draw(orderSeed, `sku/${unit}`, 0, forSale.length - 1)]?.id ?? "";
    });
    this.#orders.place({
      skuIds,
      shippingType: "TIKTOK",
      durations: {},
      oversell: false,
      buyerCancelsInMs: this.#changeOfMind(orderSeed),
      burstId: null,
    });
  }

  /** One buyer in twelve cancels before paying, one in twelve during the hour after it. */
  #changeOfMind(orderSeed: string): number | null {
    switch (draw(orderSeed, "change of mind", 1, 12)) {
      case 1:
        return this.#books.scaled(minute);
      case 2:
        return this.#books.scaled(draw(orderSeed, "moment", 10, 50) * minute);
      default:
        return null;
    }
  }
}

function isForSale(sku: Sku): boolean {
  return !sku.reservedForBursts && sku.cells.some((cell) => cell.available > 0);
}

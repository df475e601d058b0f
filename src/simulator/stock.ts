import type { Order, OrderLine, Sku, StockCell } from "./records.ts";
import type { Books } from "./state.ts";
import { topics, type Webhooks } from "./webhooks.ts";

/**
 * Units per SKU and warehouse. An order moves them from available to committed, a cancellation moves them back, the
 * carrier's collection takes them out of committed. Available never falls below 0: what a burst sells beyond it is
 * committed all the same and marked as oversold, and gives nothing back when it is cancelled.
 */
export class Stock {
  readonly #books: Books;
  readonly #webhooks: Webhooks;

  constructor(books: Books, webhooks: Webhooks) {
    this.#books = books;
    this.#webhooks = webhooks;
  }

  /** What buyers in the shop can have: locked units are sold by a campaign or a creator alone. */
  available(skuId: string, warehouseId: string): number {
    const sku = this.#books.skus.get(skuId);
    const elsewhere = sum(
      sku.cells.filter((cell) => cell.warehouseId !== warehouseId),
      "available",
    );
    const available = this.#cell(sku, warehouseId)?.available ?? 0;
    return Math.max(0, available - Math.max(0, lockedOf(sku) - elsewhere));
  }

  /** Locks units for a campaign and a creator, or gives them back to the shop. */
  lock(sku: Sku, campaign: number, creator: number): void {
    const changes = { campaign: campaign - sku.campaignLocked, creator: creator - sku.creatorLocked };
    sku.campaignLocked = campaign;
    sku.creatorLocked = creator;
    this.#books.skus.save(sku);
    for (const [pool, change] of Object.entries(changes)) {
      if (change === 0) continue;
      const moved = { available: 0, committed: 0, [pool]: change };
      this.#tell(sku, moved, `${pool}_${change > 0 ? "lock" : "unlock"}`);
    }
  }

  /** Commits one unit for each of the SKUs; true where a unit was sold that was not there. */
  take(skuIds: readonly string[], warehouseId: string): boolean[] {
    const oversold = skuIds.map((skuId) => {
      const cell = this.#cellOf(skuId, warehouseId);
      const beyond = cell.available === 0;
      if (!beyond) cell.available -= 1;
      cell.committed += 1;
      cell.sold += 1;
      if (beyond) cell.oversold += 1;
      return beyond;
    });
    const taken = skuIds.map((skuId, index) => ({ skuId, available: oversold[index] === true ? 0 : -1 }));
    this.#tellEach(taken, 1, "order_created");
    return oversold;
  }

  /** Gives back what a cancelled order holds. */
  giveBack(order: Order): void {
    for (const line of order.lines) {
      const cell = this.#cellOf(line.skuId, order.warehouseId);
      cell.committed -= 1;
      cell.cancelled += 1;
      if (line.oversold) cell.cancelledOversold += 1;
      else cell.available += 1;
    }
    const given = order.lines.map(({ skuId, oversold }) => ({ skuId, available: oversold ? 0 : 1 }));
    this.#tellEach(given, -1, "order_canceled");
  }

  /** The carrier has the order's units. */
  deduct(order: Order): void {
    for (const line of order.lines) {
      const cell = this.#cellOf(line.skuId, order.warehouseId);
      cell.committed -= 1;
      cell.deducted += 1;
    }
    this.#tellEach(order.lines.map(noAvailable), -1, "order_shipped");
  }

  /** Sets what is available, as Update Inventory does (absolute, whatever was sold in between) or a person does. */
  set(sku: Sku, warehouseId: string, available: number, trigger: "api_sync" | "manual_adjustment"): void {
    const cell = this.#cellOf(sku.id, warehouseId);
    const change = available - cell.available;
    cell.available = available;
    if (trigger === "api_sync") cell.setByApi += change;
    else cell.setByHand += change;
    this.#books.skus.save(sku);
    if (change !== 0) this.#tell(sku, { available: change, committed: 0 }, trigger);
  }

  #tellEach(units: readonly { skuId: string; available: number }[], committedEach: number, trigger: string) {
    const changes = new Map<string, Change>();
    for (const { skuId, available } of units) {
      const change = changes.get(skuId) ?? { available: 0, committed: 0 };
      changes.set(skuId, {
        available: change.available + available,
        committed: change.committed + committedEach,
      });
    }
    for (const [skuId, change] of changes) {
      const sku = this.#books.skus.get(skuId);
      this.#books.skus.save(sku);
      this.#tell(sku, change, trigger);
    }
  }

  #tell(sku: Sku, change: Change, trigger: string): void {
    const available = sum(sku.cells, "available");
    const committed = sum(sku.cells, "committed");
    const eventId = this.#books.newId("event");
    // Nanoseconds on the wire: the last digits keep events of one millisecond in their order.
    const occurredAt = new Date().toISOString().replace("Z", `${eventId.slice(-6)}Z`);
    this.#webhooks.tellSeller(topics.stock, {
      event_id: eventId,
      occurred_at: occurredAt,
      seller_id: BigInt(this.#books.account.sellerId),
      product_id: BigInt(sku.productId),
      sku_id: BigInt(sku.id),
      quantity_snapshot_after_change: {
        total_quantity: available + committed,
        total_available_quantity: available,
        total_committed_quantity: committed,
        in_shop_quantity: available - lockedOf(sku),
        ...nonZero({
          campaign_locked_quantity: sku.campaignLocked,
          creator_locked_quantity: sku.creatorLocked,
        }),
      },
      change_detail: [
        {
          idempotency_key: `${trigger}:${eventId}`,
          trigger_source: trigger,
          occurred_at: occurredAt,
          ...nonZero({
            total_quantity_delta: change.available + change.committed,
            available_quantity_delta: change.available,
            committed_quantity_delta: change.committed,
            in_shop_quantity_delta: change.available - (change.campaign ?? 0) - (change.creator ?? 0),
            campaign_locked_quantity_delta: change.campaign ?? 0,
            creator_locked_quantity_delta: change.creator ?? 0,
          }),
        },
      ],
    });
  }

  #cell(sku: Sku, warehouseId: string): StockCell | undefined {
    return sku.cells.find((cell) => cell.warehouseId === warehouseId);
  }

  #cellOf(skuId: string, warehouseId: string): StockCell {
    const cell = this.#cell(this.#books.skus.get(skuId), warehouseId);
    if (cell === undefined) throw new Error(`SKU ${skuId} has no stock in warehouse ${warehouseId}`);
    return cell;
  }
}

interface Change {
  readonly available: number;
  readonly committed: number;
  readonly campaign?: number;
  readonly creator?: number;
}

/** Units of a SKU that nobody can buy in the shop. */
export function lockedOf(sku: Sku): number {
  return sku.campaignLocked + sku.creatorLocked;
}

/** Adds up one number of a SKU over its warehouses. */
export function sum(cells: readonly StockCell[], member: "available" | "committed"): number {
  return cells.reduce((total, cell) => total + cell[member], 0);
}

function noAvailable({ skuId }: OrderLine) {
  return { skuId, available: 0 };
}

/** The live messages leave out deltas of zero. */
function nonZero(deltas: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(deltas).filter(([, delta]) => delta !== 0));
}

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createShipmentActivities } from "../../src/activities/shipment.ts";
import type { Database } from "../../src/db/connection.ts";
import { asId, type ChannelOrderId, type ChannelPackageId } from "../../src/domain/ids.ts";
import type { ShipmentResult } from "../../src/domain/order/decide.ts";
import { ChannelFailure } from "../../src/integrations/ports/failure.ts";
import type { FetchedOrder, ItemResult, SalesChannel } from "../../src/integrations/ports/sales-channel.ts";
import { aLine, snapshot } from "../domain/order/order-builders.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { asActivity } from "../support/as-activity.ts";
import { storeDeliveries } from "../support/deliveries.ts";
import { openTestDatabase, type SeededShop, seedShop } from "../support/seed.ts";
import { until } from "../support/until.ts";

type Shipping = Pick<SalesChannel, "arrangeShipments" | "fetchOrders">;

const orderId = asId<"ChannelOrder">("576653688135258178");

/** A channel with one order of many packages, which it arranges 50 at most a call. */
class ChannelBooks implements Shipping {
  readonly packageIds: readonly ChannelPackageId[];
  /** How often each package was asked for, in the order of asking. */
  readonly asked = new Map<ChannelPackageId, number>();
  readonly callSizes: number[] = [];
  readonly readBack: (readonly ChannelOrderId[])[] = [];
  readonly #arranged = new Set<ChannelPackageId>();

  constructor(packages: number) {
    this.packageIds = Array.from({ length: packages }, (_, index) =>
      asId<"ChannelPackage">(String(1_152_321_127_278_713_000n + BigInt(index))),
    );
  }

  arrangeShipments(
    _shop: unknown,
    packageIds: readonly ChannelPackageId[],
  ): Promise<readonly ItemResult<ChannelPackageId>[]> {
    if (packageIds.length > 50) throw new Error(`${packageIds.length} packages in one call`);
    this.callSizes.push(packageIds.length);
    const results = packageIds.map((key): ItemResult<ChannelPackageId> => {
      this.asked.set(key, (this.asked.get(key) ?? 0) + 1);
      const repeated = this.#arranged.has(key);
      this.#arranged.add(key);
      return repeated
        ? { key, ok: false, channelCode: "21011038", message: "shipped already" }
        : { key, ok: true };
    });
    return Promise.resolve(results);
  }

  fetchOrders(_shop: unknown, orderIds: readonly ChannelOrderId[]): Promise<readonly FetchedOrder[]> {
    this.readBack.push(orderIds);
    const lines = this.packageIds.map((packageId, index) =>
      aLine(String(index), {
        packageId,
        status: this.#arranged.has(packageId) ? "awaiting_collection" : "awaiting_shipment",
      }),
    );
    const everything = this.#arranged.size === this.packageIds.length;
    const order = snapshot(everything ? "awaiting_collection" : "partially_shipping", { orderId, lines });
    return Promise.resolve([{ order, recipient: null }]);
  }
}

let database: TestDatabase;
let db: Database;
let shop: SeededShop;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openTestDatabase(database.url);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});
beforeEach(async () => {
  shop = await seedShop(db);
});

/** A process of its own, which asks the channel for the whole order; as Temporal runs it, when it is asked first. */
async function ship(
  channel: Shipping,
  packageIds: readonly ChannelPackageId[],
  askedAt = Date.now(),
): Promise<ShipmentResult> {
  const process = createShipmentActivities({ db, channel: channel as SalesChannel });
  const { tenantId, shopId } = shop;
  return await asActivity(() => process.arrangeShipment({ tenantId, shopId, orderId, packageIds }), askedAt);
}

const timesAsked = (books: ChannelBooks) =>
  [...new Set(books.packageIds.map((packageId) => books.asked.get(packageId) ?? 0))].sort();

describe("an order with more packages than one call takes", () => {
  test("is shipped in several calls, each package once", async () => {
    const books = new ChannelBooks(120);
    const result = await ship(books, books.packageIds);
    expect(result).toEqual({ arranged: true, packageIds: books.packageIds });
    expect(books.callSizes).toEqual([50, 50, 20]);
    expect(timesAsked(books)).toEqual([1]);
  });

  test("is not shipped again when the same is asked again", async () => {
    const books = new ChannelBooks(60);
    const first = await ship(books, books.packageIds);
    expect(await ship(books, books.packageIds)).toEqual(first);
    expect(timesAsked(books)).toEqual([1]);
  });

  test.each([
    ["first call, before the channel took it", 1, false],
    ["first call, after the channel took it", 1, true],
    ["second call, before the channel took it", 2, false],
    ["second call, after the channel took it", 2, true],
  ])("is asked for the rest alone when its process dies in the %s", async (_when, dies, applied) => {
    const books = new ChannelBooks(60);
    let calls = 0;
    const dying: Shipping = {
      fetchOrders: (_shop, orderIds) => books.fetchOrders(_shop, orderIds),
      arrangeShipments: async (_shop, packageIds) => {
        calls += 1;
        const died = calls === dies;
        const results = died && !applied ? [] : await books.arrangeShipments(_shop, packageIds);
        return died ? await new Promise(() => undefined) : results;
      },
    };
    void ship(dying, books.packageIds);
    await until(`call ${dies} is under way`, () => Promise.resolve(calls === dies));
    expect(await ship(books, books.packageIds)).toMatchObject({ arranged: true });
    expect(timesAsked(books)).toEqual([1]);
    expect(books.callSizes).toEqual([50, 10]);
    expect(books.readBack).toEqual([[orderId]]);
  });

  test("fails as a whole when a call fails, and only that call is made again", async () => {
    const books = new ChannelBooks(60);
    let calls = 0;
    const failing: Shipping = {
      fetchOrders: (_shop, orderIds) => books.fetchOrders(_shop, orderIds),
      arrangeShipments: async (_shop, packageIds) => {
        calls += 1;
        if (calls === 1) throw new ChannelFailure("unavailable", "HTTP 503");
        return await books.arrangeShipments(_shop, packageIds);
      },
    };
    await expect(ship(failing, books.packageIds)).rejects.toMatchObject({ type: "channel_unavailable" });
    expect(books.asked.size).toBe(10);
    expect(await ship(failing, books.packageIds)).toMatchObject({ arranged: true });
    expect(timesAsked(books)).toEqual([1]);
  });

  test("is refused with the reason of the package that the channel refuses, and the others leave", async () => {
    const books = new ChannelBooks(60);
    const [, bad] = books.packageIds;
    const picky: Shipping = {
      fetchOrders: (_shop, orderIds) => books.fetchOrders(_shop, orderIds),
      arrangeShipments: async (_shop, packageIds) => [
        ...(await books.arrangeShipments(
          _shop,
          packageIds.filter((packageId) => packageId !== bad),
        )),
        ...(packageIds.includes(bad!)
          ? [{ key: bad!, ok: false, channelCode: "21011001", message: "too heavy" } as const]
          : []),
      ],
    };
    expect(await ship(picky, books.packageIds)).toEqual({ arranged: false, reason: "too heavy (21011001)" });
    expect(books.asked.size).toBe(59);
    // When something has changed, the rest is asked for, and nothing of what has left.
    expect(await ship(books, books.packageIds)).toMatchObject({ arranged: true });
    expect(timesAsked(books)).toEqual([1]);
  });
});

describe("in a rush of new orders", () => {
  beforeEach(() => storeDeliveries(database, shop, { count: 100, waitedSeconds: 1, first: true }));

  test("shipping waits, and comes again by itself", async () => {
    const books = new ChannelBooks(2);
    await expect(ship(books, books.packageIds)).rejects.toMatchObject({
      type: "rush",
      nonRetryable: false,
      nextRetryDelay: 10_000,
    });
    expect(books.asked.size).toBe(0);
    await database.asSuperuser("update webhook_deliveries set state = 'processed'");
    expect(await ship(books, books.packageIds)).toMatchObject({ arranged: true });
  });

  test("shipping has waited long enough after a minute", async () => {
    const books = new ChannelBooks(2);
    expect(await ship(books, books.packageIds, Date.now() - 61_000)).toMatchObject({ arranged: true });
  });
});

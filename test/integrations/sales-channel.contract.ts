import { describe, expect, it } from "vitest";
import { asId, type ChannelOrderId, type ChannelSkuId } from "../../src/domain/ids.ts";
import { ChannelFailure } from "../../src/integrations/ports/failure.ts";
import type { FetchedOrder, SalesChannel, ShopKey } from "../../src/integrations/ports/sales-channel.ts";

/** A channel to test, and what buyers do on it. */
export interface ChannelUnderTest {
  readonly channel: SalesChannel;
  readonly shop: ShopKey;
  readonly channelShopId: string;
  /** Numbers of SKUs on sale, of different products, each with stock. */
  readonly skuIds: readonly ChannelSkuId[];
  /** A carrier that takes parcels of the seller's own. */
  readonly shippingProviderId: string;
  /** Places an order that moves only when told; one unit of each SKU named. */
  readonly placeOrder: (
    skuIds: readonly ChannelSkuId[],
    shipping?: "channel" | "seller",
  ) => Promise<ChannelOrderId>;
  /** Pays it and ends the hold. */
  readonly makeShippable: (orderId: ChannelOrderId) => Promise<void>;
  readonly collect: (orderId: ChannelOrderId) => Promise<void>;
}

/** What every sales channel owes the rest of the product. */
export function describeSalesChannel(name: string, underTest: () => ChannelUnderTest): void {
  const fetchOne = async (orderId: ChannelOrderId): Promise<FetchedOrder> => {
    const { channel, shop } = underTest();
    const [fetched] = await channel.fetchOrders(shop, [orderId], 2);
    if (fetched === undefined) throw new Error(`Order ${orderId} was not found`);
    return fetched;
  };

  describe(`${name} as a sales channel`, () => {
    it("names the shops its credentials open", async () => {
      const { channel, shop, channelShopId } = underTest();
      const shops = await channel.authorisedShops(shop);
      expect(shops.map((each) => each.channelShopId)).toContain(channelShopId);
    });

    it("has one default warehouse that is enabled", async () => {
      const { channel, shop } = underTest();
      const warehouses = await channel.listWarehouses(shop);
      expect(warehouses.filter((warehouse) => warehouse.isDefault && warehouse.enabled)).toHaveLength(1);
    });

    it("pages through the catalogue without losing or repeating a product", async () => {
      const { channel, shop, skuIds } = underTest();
      const products = [];
      let pageToken: string | null = null;
      do {
        const page: Awaited<ReturnType<SalesChannel["listProducts"]>> = await channel.listProducts(
          shop,
          pageToken,
        );
        products.push(...page.products);
        pageToken = page.nextPageToken;
      } while (pageToken !== null);
      expect(new Set(products.map((product) => product.productId)).size).toBe(products.length);
      const skus = products.flatMap((product) => product.skus);
      expect(skus.map((sku) => sku.channelSkuId)).toEqual(expect.arrayContaining([...skuIds]));
      for (const sku of skus) {
        expect(Number.isSafeInteger(sku.priceMinor)).toBe(true);
        expect(sku.warehouseIds.length).toBeGreaterThan(0);
      }
    });

    it("finds products by SKU and leaves out what it does not know", async () => {
      const { channel, shop, skuIds } = underTest();
      const [sku] = skuIds as [ChannelSkuId];
      const products = await channel.findProductsBySku(shop, [sku, asId("1999999999999999999")]);
      expect(products).toHaveLength(1);
      expect(products[0]?.skus.map((each) => each.channelSkuId)).toContain(sku);
      expect(await channel.findProductsBySku(shop, [])).toEqual([]);
    });

    it("sets what is for sale, absolutely, and reads it back", async () => {
      const { channel, shop, skuIds } = underTest();
      const [sku] = skuIds as [ChannelSkuId];
      for (const available of [7, 0, 25]) {
        const before = await channel.readStock(shop, [sku], 3);
        const productId = before[0]!.channelProductId;
        const levels = before.map(({ channelSkuId, warehouseId }) => ({
          channelSkuId,
          warehouseId,
          available,
        }));
        expect(await channel.setAvailable(shop, productId, levels, 3)).toEqual([{ key: sku, ok: true }]);
        const after = await channel.readStock(shop, [sku], 3);
        expect(after.map((each) => each.available)).toEqual(before.map(() => available));
        expect(after.map((each) => each.committed)).toEqual(before.map((each) => each.committed));
      }
    });

    it("leaves out of a stock reading what it does not know", async () => {
      const { channel, shop, skuIds } = underTest();
      const [sku] = skuIds as [ChannelSkuId];
      const stock = await channel.readStock(shop, [sku, asId("1999999999999999999")], 3);
      expect(new Set(stock.map((each) => each.channelSkuId))).toEqual(new Set([sku]));
      expect(await channel.readStock(shop, [], 3)).toEqual([]);
    });

    it("commits a unit when an order takes it, and the sum stays", async () => {
      const { channel, shop, skuIds, placeOrder } = underTest();
      const sku = skuIds[1]!;
      const totals = async () => {
        const stock = await channel.readStock(shop, [sku], 3);
        const sum = (pick: (each: (typeof stock)[number]) => number) =>
          stock.reduce((total, each) => total + pick(each), 0);
        return { available: sum((each) => each.available), committed: sum((each) => each.committed) };
      };
      const before = await totals();
      await placeOrder([sku]);
      expect(await totals()).toEqual({ available: before.available - 1, committed: before.committed + 1 });
    });

    it("tells an order with a line a unit and amounts in minor units, and leaves out what it does not know", async () => {
      const { channel, shop, skuIds, placeOrder } = underTest();
      const [first, second] = skuIds as [ChannelSkuId, ChannelSkuId];
      const orderId = await placeOrder([first, first, second]);
      const fetched = await channel.fetchOrders(shop, [orderId, asId("599999999999999999")], 2);
      expect(fetched).toHaveLength(1);
      const { order } = fetched[0]!;
      expect(order).toMatchObject({ orderId, status: "unpaid", paidAt: null, buyerRequestsCancel: false });
      expect(order.lines.map((line) => line.channelSkuId).sort()).toEqual([first, first, second].sort());
      expect(new Set(order.lines.map((line) => line.lineId)).size).toBe(3);
      expect(order.lines.every((line) => line.quantity === 1 && line.status === "unpaid")).toBe(true);
      const lineSum = order.lines.reduce((sum, line) => sum + line.salePriceMinor, 0);
      expect(order.totalMinor).toBeGreaterThanOrEqual(lineSum);
      expect(await channel.fetchOrders(shop, [], 2)).toEqual([]);
    });

    it("finds orders by their update time, lower bound inclusive, upper exclusive, oldest first", async () => {
      const { channel, shop, skuIds, placeOrder } = underTest();
      const orderId = await placeOrder([skuIds[2]!]);
      const { order } = await fetchOne(orderId);
      const second = Date.parse(order.updatedAt);
      const search = async (from: number, before: number | null) => {
        const found: FetchedOrder[] = [];
        let pageToken: string | null = null;
        do {
          const window = {
            updatedFrom: new Date(from).toISOString(),
            updatedBefore: before === null ? null : new Date(before).toISOString(),
          };
          const page: Awaited<ReturnType<SalesChannel["searchOrders"]>> = await channel.searchOrders(
            shop,
            window,
            pageToken,
          );
          found.push(...page.orders);
          pageToken = page.nextPageToken;
        } while (pageToken !== null);
        return found.map((each) => each.order);
      };
      expect((await search(second, second + 1_000)).map((each) => each.orderId)).toContain(orderId);
      expect((await search(second + 1_000, null)).map((each) => each.orderId)).not.toContain(orderId);
      expect((await search(0, second)).map((each) => each.orderId)).not.toContain(orderId);
      const times = (await search(0, null)).map((each) => Date.parse(each.updatedAt));
      expect(times).toEqual([...times].sort((left, right) => left - right));
    });

    it("arranges a shipment, gives its label, and refuses to arrange it twice", async () => {
      const { channel, shop, skuIds, placeOrder, makeShippable } = underTest();
      const orderId = await placeOrder([skuIds[3]!]);
      await makeShippable(orderId);
      const before = (await fetchOne(orderId)).order;
      expect(before).toMatchObject({ status: "awaiting_shipment", onHold: false, shipping: "channel" });
      const packageId = before.lines[0]!.packageId!;
      expect(await channel.arrangeShipments(shop, [packageId])).toEqual([{ key: packageId, ok: true }]);
      expect((await fetchOne(orderId)).order.status).toBe("awaiting_collection");
      const document = await channel.shippingDocument(shop, packageId);
      expect(document.url).toMatch(/^https?:\/\//);
      const [again, unknown] = await channel.arrangeShipments(shop, [packageId, asId("1152999999999999999")]);
      expect(again).toMatchObject({ key: packageId, ok: false });
      expect(unknown).toMatchObject({ ok: false });
    });

    it("is told of a parcel that left with the seller's own carrier, and tells its way", async () => {
      const { channel, shop, skuIds, placeOrder, makeShippable, collect, shippingProviderId } = underTest();
      const orderId = await placeOrder([skuIds[4]!], "seller");
      await makeShippable(orderId);
      const { order } = await fetchOne(orderId);
      expect(order.shipping).toBe("seller");
      const lineIds = order.lines.map((line) => line.lineId);
      const shipment = { lineIds, trackingNumber: "RM123456785GB", shippingProviderId };
      const { packageId } = await channel.markShipped(shop, orderId, shipment);
      const shipped = (await fetchOne(orderId)).order;
      expect(shipped.lines.map((line) => line.packageId)).toEqual([packageId]);
      expect(shipped).toMatchObject({ status: "awaiting_collection", trackingNumber: "RM123456785GB" });
      await collect(orderId);
      const entries = await channel.tracking(shop, orderId);
      expect(entries.length).toBeGreaterThan(0);
      const times = entries.map((entry) => Date.parse(entry.at));
      expect(times).toEqual([...times].sort((left, right) => left - right));
      expect(Math.abs(Date.now() - times.at(-1)!)).toBeLessThan(60_000);
      await expect(channel.markShipped(shop, orderId, shipment)).rejects.toMatchObject({ kind: "refused" });
    });

    it("cancels an order as its seller, every line of it, and refuses the second time", async () => {
      const { channel, shop, skuIds, placeOrder, makeShippable } = underTest();
      const orderId = await placeOrder([skuIds[0]!, skuIds[1]!]);
      await makeShippable(orderId);
      const { cancelId } = await channel.cancelOrder(shop, orderId, "seller_cancel_reason_out_of_stock");
      expect(cancelId).not.toBe("");
      const { order } = await fetchOne(orderId);
      expect(order.status).toBe("cancelled");
      expect(order.lines.map((line) => line.status)).toEqual(["cancelled", "cancelled"]);
      await expect(channel.cancelOrder(shop, orderId, "seller_cancel_reason_out_of_stock")).rejects.toSatisfy(
        (error) => error instanceof ChannelFailure && error.kind === "refused",
      );
    });
  });
}

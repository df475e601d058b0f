import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { minorUnits } from "../../src/integrations/tiktok-shop/money.ts";
import { translateOrder } from "../../src/integrations/tiktok-shop/translate.ts";
import { orderSchema } from "../../src/integrations/tiktok-shop/wire.ts";

describe("money", () => {
  it.each([
    ["12.99", "GBP", 1_299],
    ["12.9", "USD", 1_290],
    ["0.07", "EUR", 7],
    ["12", "GBP", 1_200],
    ["1500.00", "JPY", 1_500],
    ["150000", "IDR", 150_000],
    ["99000", "VND", 99_000],
    ["-3.50", "GBP", -350],
    ["-0.00", "GBP", 0],
    ["90071992547409.91", "GBP", Number.MAX_SAFE_INTEGER],
  ])("%s %s is exactly %d minor units", (text, currency, minor) => {
    expect(minorUnits(text, currency)).toBe(minor);
  });

  it.each([
    ["12.995", "GBP"],
    ["0.5", "JPY"],
    ["1e3", "GBP"],
    ["", "GBP"],
    ["12,99", "GBP"],
    ["NaN", "GBP"],
    ["90071992547409.92", "GBP"],
  ])("%s %s is refused rather than rounded", (text, currency) => {
    expect(() => minorUnits(text, currency)).toThrow(RangeError);
  });

  it("comes back as it was written, for every amount", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e12 }), (minor) => {
        const text = `${Math.floor(minor / 100)}.${String(minor % 100).padStart(2, "0")}`;
        expect(minorUnits(text, "GBP")).toBe(minor);
      }),
    );
  });
});

const wireLine = { id: "1", sku_id: "2", product_id: "3", product_name: "Mug", sale_price: "1.00" };
const wireOrder = {
  id: "10",
  status: "AWAITING_SHIPMENT",
  create_time: 1_795_000_000,
  update_time: 1_795_000_000,
  payment: { currency: "GBP", total_amount: "1.00" },
  line_items: [wireLine],
};
const translate = (changes: object) => translateOrder(orderSchema.parse({ ...wireOrder, ...changes }));

describe("an order's translation", () => {
  it.each([
    ["UNPAID", "unpaid"],
    ["ON_HOLD", "on_hold"],
    ["AWAITING_SHIPMENT", "awaiting_shipment"],
    ["PARTIALLY_SHIPPING", "partially_shipping"],
    ["AWAITING_COLLECTION", "awaiting_collection"],
    ["IN_TRANSIT", "in_transit"],
    ["DELIVERED", "delivered"],
    ["COMPLETED", "completed"],
    ["CANCELLED", "cancelled"],
    ["CANCEL", "cancelled"],
  ])("knows the status %s", (word, status) => {
    expect(translate({ status: word }).status).toBe(status);
  });

  it.each([
    ["FULFILLMENT_BY_SELLER", "seller"],
    [undefined, "seller"],
    ["FULFILLMENT_BY_TIKTOK", "channel"],
    ["FULFILLMENT_BY_DILAYANI_TOKOPEDIA", "channel"],
    ["FULFILLMENT_BY_SOMEBODY_NEW", "channel"],
  ])("takes units from the seller's stock only when it says so: %s", (word, whose) => {
    expect(translate({ fulfillment_type: word }).fulfilledBy).toBe(whose);
  });

  it("holds an order that TikTok Shop holds, by status or by flag", () => {
    expect(translate({ status: "ON_HOLD" }).onHold).toBe(true);
    expect(translate({ is_on_hold_order: true }).onHold).toBe(true);
    expect(translate({}).onHold).toBe(false);
  });

  it("gives a line the order's only package while no line names one, and none to a line that stayed behind", () => {
    const two = [wireLine, { ...wireLine, id: "4" }];
    const packagesOf = (changes: object) => translate(changes).lines.map((line) => line.packageId);
    expect(packagesOf({ packages: [{ id: "P" }], line_items: two })).toEqual(["P", "P"]);
    expect(
      packagesOf({
        packages: [{ id: "P" }],
        line_items: [
          { ...wireLine, package_id: "P" },
          { ...wireLine, id: "4" },
        ],
      }),
    ).toEqual(["P", null]);
    expect(packagesOf({ packages: [{ id: "P" }, { id: "Q" }], line_items: two })).toEqual([null, null]);
    expect(packagesOf({ line_items: two })).toEqual([null, null]);
  });

  it("takes a line's word it does not know for the order's", () => {
    const [line] = translate({ line_items: [{ ...wireLine, display_status: "LEVITATING" }] }).lines;
    expect(line?.status).toBe("awaiting_shipment");
  });
});

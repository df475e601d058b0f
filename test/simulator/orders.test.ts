import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import * as shapes from "./shapes.ts";
import {
  control,
  givenClient,
  givenSimulator,
  ledger,
  move,
  placeOrder,
  skusOf,
  untilTold,
} from "./support.ts";

const search = "/order/202309/orders/search";
const ownCarrier = { tracking_number: "JD0002233445", shipping_provider_id: "6617675021119438850" };

async function givenOrder(
  options: { shippingType?: string; units?: number; moves?: readonly string[] } = {},
) {
  const { url } = await givenSimulator();
  const client = await givenClient(url);
  const [sku] = await skusOf(url);
  const { orderId } = await placeOrder(url, {
    lines: [{ skuId: sku!.id, quantity: options.units ?? 2 }],
    shippingType: options.shippingType ?? "TIKTOK",
  });
  for (const name of options.moves ?? []) await move(url, orderId, name);
  const read = async () => {
    const query = { ids: orderId };
    return (await client.ask(shapes.orders, "GET", "/order/202507/orders", { query })).orders[0]!;
  };
  return { url, ...client, orderId, read };
}

const pathOf = (packageId: string, action: string) => `/fulfillment/202309/packages/${packageId}/${action}`;

test("pages of a search hold every order once, in the order asked for, with tokens of base64 characters", async () => {
  const { url } = await givenSimulator();
  const { ask } = await givenClient(url);
  const [sku] = await skusOf(url);
  const placed: string[] = [];
  for (let count = 0; count < 7; count += 1) {
    placed.push((await placeOrder(url, { lines: [{ skuId: sku!.id, quantity: 1 }] })).orderId);
  }
  for (const [sortOrder, expected] of [
    ["ASC", placed],
    ["DESC", placed.toReversed()],
  ] as const) {
    const seen: string[] = [];
    let token = "";
    do {
      const query = { page_size: "3", sort_order: sortOrder, ...(token === "" ? {} : { page_token: token }) };
      const page = await ask(shapes.orderPage, "POST", search, { query });
      expect(page.total_count).toBe(7);
      seen.push(...page.orders.map(({ id }) => id));
      token = page.next_page_token;
      if (token !== "") expect(token).toMatch(/[+/].*=$/);
    } while (token !== "");
    expect(seen).toEqual(expected);
  }
});

test("a search takes its lower bound in, leaves its upper bound out, and filters by status", async () => {
  const { ask, read, orderId } = await givenOrder({ moves: ["pay"] });
  const { update_time: changed } = await read();
  const count = async (body: object) => (await ask(shapes.orderPage, "POST", search, { body })).total_count;
  expect(await count({ update_time_ge: changed, update_time_lt: changed + 1 })).toBe(1);
  expect(await count({ update_time_ge: changed + 1 })).toBe(0);
  expect(await count({ update_time_lt: changed })).toBe(0);
  expect(await count({ order_status: "ON_HOLD" })).toBe(1);
  expect(await count({ order_status: "UNPAID" })).toBe(0);
  const query = { ids: `1,${orderId}` };
  const { orders } = await ask(shapes.orders, "GET", "/order/202309/orders", { query });
  expect(orders.map(({ id }) => id)).toEqual([orderId]);
});

test("an order has one line for each unit, a payment that adds up and ids beyond what a double can hold", async () => {
  const order = await (await givenOrder({ units: 3 })).read();
  const pence = (text: string) => Math.round(Number(text) * 100);
  const { payment, line_items: lines } = order;
  expect(new Set(lines.map(({ id }) => id)).size).toBe(3);
  expect(pence(payment.sub_total)).toBe(lines.reduce((total, line) => total + pence(line.sale_price), 0));
  expect(pence(payment.sub_total)).toBe(
    pence(payment.original_total_product_price) -
      pence(payment.seller_discount) -
      pence(payment.platform_discount),
  );
  expect(pence(payment.total_amount)).toBe(pence(payment.sub_total) + pence(payment.shipping_fee));
  for (const id of [order.id, lines[0]!.id, lines[0]!.sku_id, order.user_id]) {
    expect(Number.isSafeInteger(Number(id))).toBe(false);
  }
});

test("the address is missing on hold and masked afterwards; deadlines and packages come with the end of the hold", async () => {
  const { url, read, orderId } = await givenOrder({ moves: ["pay"] });
  const held = await read();
  expect(held).toMatchObject({ status: "ON_HOLD", is_on_hold_order: true, recipient_address: null });
  expect(held.rts_sla_time).toBeUndefined();
  await move(url, orderId, "release");
  const free = await read();
  expect(free).toMatchObject({ status: "AWAITING_SHIPMENT", is_on_hold_order: false });
  expect(free.recipient_address?.name).toMatch(/\*/);
  expect(free.rts_sla_time).toBe(free.update_time + 2 * 86_400);
  expect(free.line_items[0]).toMatchObject({
    package_id: free.packages[0]?.id,
    package_status: "TO_FULFILL",
  });
});

test("a shipped order goes to its buyer, with a label before and a track after", async () => {
  const { url, ask, call, read, orderId } = await givenOrder({ moves: ["pay", "release"] });
  const packageId = (await read()).packages[0]!.id;
  const wanted = { query: { document_type: "SHIPPING_LABEL" } };
  expect((await call("GET", pathOf(packageId, "shipping_documents"), wanted)).code).toBe(21011021);

  const ship = { body: { handover_method: "PICKUP" } };
  expect(await call("POST", pathOf(packageId, "ship"), ship)).toMatchObject({ code: 0 });
  const label = await ask(shapes.label, "GET", pathOf(packageId, "shipping_documents"), wanted);
  const pdf = await fetch(label.doc_url);
  const text = await pdf.text();
  expect(pdf.headers.get("content-type")).toBe("application/pdf");
  expect(text).toContain(label.tracking_number);
  expect(text.slice(Number(/startxref\n(\d+)/.exec(text)?.[1]))).toMatch(/^xref/);
  expect((await fetch(label.doc_url.replace("A6", "A5"))).status).toBe(403);

  for (const name of ["collect", "deliver", "complete"]) await move(url, orderId, name);
  const order = await read();
  expect(order.status).toBe("COMPLETED");
  expect(order.line_items[0]).toMatchObject({
    package_status: "COMPLETED",
    tracking_number: label.tracking_number,
  });
  const { tracking } = await ask(shapes.track, "GET", `/fulfillment/202309/orders/${orderId}/tracking`);
  expect(tracking).toHaveLength(3);
  expect(Math.abs(Date.now() - tracking[0]!.update_time_millis)).toBeLessThan(60_000);
});

test("a package is shipped once: the second call is refused and not counted", async () => {
  const { url, call, read } = await givenOrder({ moves: ["pay", "release"] });
  const packageId = (await read()).packages[0]!.id;
  expect(await call("POST", pathOf(packageId, "ship"))).toMatchObject({ code: 0 });
  expect(await call("POST", pathOf(packageId, "ship"))).toMatchObject({ code: 21011008 });
  expect((await ledger(url, "orders"))[0]?.shipCallsAccepted).toBe(1);
});

test.each(["cancel", "request-cancel"])("an order is not shipped after the buyer's %s", async (name) => {
  const { url, call, read } = await givenOrder({ moves: ["pay", "release", name] });
  const order = await read();
  const answer = await call("POST", pathOf(order.packages[0]!.id, "ship"));
  expect(answer).toMatchObject({ code: 21011007, message: expect.stringContaining(order.status) as string });
  expect((await ledger(url, "orders"))[0]?.shipCallsAccepted).toBe(0);
});

test("a batch ships what it can and names the rest", async () => {
  const { ask, read } = await givenOrder({ moves: ["pay", "release"] });
  const packages = ["123", (await read()).packages[0]!.id].map((id) => ({ id, handover_method: "PICKUP" }));
  const path = "/fulfillment/202309/packages/ship";
  const { errors } = await ask(shapes.shipErrors, "POST", path, { body: { packages } });
  expect(errors).toEqual([{ code: 21011001, detail: { package_id: "123" } }]);
  expect((await read()).status).toBe("AWAITING_COLLECTION");
});

test("an order with seller shipping ships line by line, and is partly shipped in between", async () => {
  const { ask, call, read, orderId } = await givenOrder({
    shippingType: "SELLER",
    moves: ["pay", "release"],
  });
  const before = await read();
  expect(before.packages).toEqual([]);
  const path = `/fulfillment/202309/orders/${orderId}/packages`;
  const only = (index: number) => ({
    body: { order_line_item_ids: [before.line_items[index]!.id], ...ownCarrier },
  });
  const first = await ask(shapes.marked, "POST", path, only(0));
  expect(await read()).toMatchObject({ status: "PARTIALLY_SHIPPING", packages: [{ id: first.package_id }] });
  expect(await call("POST", path, only(0))).toMatchObject({ code: 21011008 });
  const second = await ask(shapes.marked, "POST", path, only(1));
  const after = await read();
  expect(after.status).toBe("AWAITING_COLLECTION");
  expect(after.line_items.map((line) => line.package_id)).toEqual([first.package_id, second.package_id]);
});

test.each([[[]], [["pay"]], [["pay", "cancel"]]])(
  "after %j an order is not marked as shipped",
  async (moves) => {
    const { call, read, orderId } = await givenOrder({ shippingType: "SELLER", moves });
    const { status } = await read();
    const answer = await call("POST", `/fulfillment/202309/orders/${orderId}/packages`, { body: ownCarrier });
    expect(answer).toMatchObject({ code: 21011007, message: expect.stringContaining(status) as string });
    expect(await read()).toMatchObject({ status, packages: [] });
  },
);

test("the seller cancels a whole order while it may be cancelled, and only then", async () => {
  const { url, ask, call, read, orderId } = await givenOrder();
  const path = "/return_refund/202309/cancellations";
  const reason = "seller_cancel_reason_out_of_stock";
  const request = { body: { order_id: orderId, cancel_reason: reason } };
  expect(await call("POST", path, request)).toMatchObject({ code: 25001013 });
  await move(url, orderId, "pay");
  const cancelled = await ask(shapes.cancelled, "POST", path, request);
  expect(cancelled.cancel_status).toBe("CANCELLATION_REQUEST_COMPLETE");
  expect(await read()).toMatchObject({
    status: "CANCELLED",
    cancellation_initiator: "SELLER",
    cancel_reason: reason,
  });
  expect(await call("POST", path, request)).toMatchObject({ code: 25001013 });
  expect((await ledger(url, "orders"))[0]?.cancelCount).toBe(1);
});

test("a buyer's request to cancel waits for the seller, who may reject or approve it", async () => {
  const { url, ask, call, read, orderId } = await givenOrder({ moves: ["pay", "release", "request-cancel"] });
  const path = "/return_refund/202309/cancellations";
  const body = { order_ids: [orderId], cancel_status: ["CANCELLATION_REQUEST_PENDING"] };
  const pending = async () =>
    (await ask(shapes.cancellations, "POST", `${path}/search`, { body })).cancellations[0]!.cancel_id;
  expect((await read()).is_buyer_request_cancel).toBe(true);
  const rejection = { body: { reject_reason: "seller_reject_shipped" } };
  expect(await call("POST", `${path}/${await pending()}/reject`, rejection)).toMatchObject({ code: 0 });
  expect(await read()).toMatchObject({ status: "AWAITING_SHIPMENT", is_buyer_request_cancel: false });

  await move(url, orderId, "request-cancel");
  const again = await pending();
  expect(await call("POST", `${path}/${again}/approve`)).toMatchObject({ code: 0 });
  expect(await read()).toMatchObject({ status: "CANCELLED", cancellation_initiator: "BUYER" });
  expect(await call("POST", `${path}/${again}/approve`)).toMatchObject({ code: 25001017 });
});

test("left alone, an order moves through its states by itself, and an unshipped one is cancelled by the system", async () => {
  const { url } = await givenSimulator({ timeScale: 100_000 });
  const { ask, call } = await givenClient(url);
  const [sku] = await skusOf(url);
  const order = { lines: [{ skuId: sku!.id, quantity: 1 }], durations: {} };
  const shipped = await placeOrder(url, { ...order, durations: { shipmentMs: null } });
  const forgotten = await placeOrder(url, order);
  const booked = async (id: string) => (await ledger(url, "orders")).find(({ orderId }) => orderId === id);
  const waiting = await until("the order awaits shipment", async () => {
    const body = { order_status: "AWAITING_SHIPMENT" };
    const { orders } = await ask(shapes.orderPage, "POST", search, { body });
    return orders.find(({ id }) => id === shipped.orderId);
  });
  await call("POST", pathOf(waiting.packages[0]!.id, "ship"));
  await until("it is completed", async () => (await booked(shipped.orderId))?.status === "COMPLETED");
  await until(
    "the other is cancelled",
    async () => (await booked(forgotten.orderId))?.status === "CANCELLED",
  );
  expect((await booked(forgotten.orderId))?.statusChanges.map(({ status, by }) => `${status} ${by}`)).toEqual(
    ["UNPAID BUYER", "ON_HOLD BUYER", "AWAITING_SHIPMENT SYSTEM", "CANCELLED SYSTEM"],
  );
});

test("a buyer who changes their mind cancels at the time that was said", async () => {
  const { url } = await givenSimulator();
  const [sku] = await skusOf(url);
  await placeOrder(url, { lines: [{ skuId: sku!.id, quantity: 1 }], buyerCancelsIn: 30 });
  const order = await until("the order is cancelled", async () => {
    const [booked] = await ledger(url, "orders");
    return booked?.status === "CANCELLED" ? booked : null;
  });
  expect(order.statusChanges.at(-1)).toMatchObject({ status: "CANCELLED", by: "BUYER" });
});

test("moves that an order's state does not allow are refused with 409 and change nothing", async () => {
  const { url, orderId, read } = await givenOrder();
  for (const name of ["release", "collect", "deliver", "complete"]) {
    expect((await control(url, "POST", `/_sim/orders/${orderId}/${name}`)).status).toBe(409);
  }
  expect((await read()).status).toBe("UNPAID");
  expect((await control(url, "POST", "/_sim/orders/1/pay")).status).toBe(404);
  expect((await control(url, "POST", `/_sim/orders/${orderId}/fly`)).status).toBe(400);
  const mistaken = { lines: [{ skuId: "1", quantity: 0 }], durations: untilTold };
  const answer = await control(url, "POST", "/_sim/orders", mistaken);
  expect(answer.status).toBe(400);
  expect(answer.text).toContain("lines[0].quantity");
});

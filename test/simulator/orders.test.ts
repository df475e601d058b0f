import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import {
  control,
  controlled,
  givenClient,
  givenSimulator,
  ledger,
  placeOrder,
  skusOf,
  untilTold,
} from "./support.ts";

const search = "/order/202309/orders/search";
const move = (url: string, orderId: string, name: string) =>
  controlled(url, "POST", `/_sim/orders/${orderId}/${name}`);

async function givenOrder(options: { shippingType?: string; units?: number; moves?: string[] } = {}) {
  const { url } = await givenSimulator();
  const client = await givenClient(url);
  const [sku] = await skusOf(url);
  const { orderId } = await placeOrder(url, {
    lines: [{ skuId: sku.id, quantity: options.units ?? 2 }],
    shippingType: options.shippingType ?? "TIKTOK",
  });
  for (const name of options.moves ?? []) await move(url, orderId, name);
  const read = async () => {
    const { body } = await client.call("GET", "/order/202507/orders", { query: { ids: orderId } });
    return body.data.orders[0];
  };
  return { url, ...client, sku, orderId, read };
}

test("pages of a search hold every order once, in the order asked for, with tokens of base64 characters", async () => {
  const { url } = await givenSimulator();
  const { call } = await givenClient(url);
  const [sku] = await skusOf(url);
  const placed: string[] = [];
  for (let count = 0; count < 7; count += 1) {
    placed.push((await placeOrder(url, { lines: [{ skuId: sku.id, quantity: 1 }] })).orderId);
  }
  for (const [sortOrder, expected] of [
    ["ASC", placed],
    ["DESC", [...placed].reverse()],
  ] as const) {
    const seen: string[] = [];
    let token = "";
    do {
      const query = { page_size: "3", sort_order: sortOrder, ...(token === "" ? {} : { page_token: token }) };
      const { data } = (await call("POST", search, { query })).body;
      expect(data.total_count).toBe(7);
      seen.push(...data.orders.map(({ id }: { id: string }) => id));
      token = data.next_page_token;
      if (token !== "") expect(token).toMatch(/[+/].*=$/);
    } while (token !== "");
    expect(seen).toEqual(expected);
  }
});

test("a search takes its lower bound in, leaves its upper bound out, and filters by status", async () => {
  const { call, read, orderId } = await givenOrder({ moves: ["pay"] });
  const { update_time: changed } = await read();
  const found = async (body: object) => (await call("POST", search, { body })).body.data.orders.length;
  expect(await found({ update_time_ge: changed, update_time_lt: changed + 1 })).toBe(1);
  expect(await found({ update_time_ge: changed + 1 })).toBe(0);
  expect(await found({ update_time_lt: changed })).toBe(0);
  expect(await found({ order_status: "ON_HOLD" })).toBe(1);
  expect(await found({ order_status: "UNPAID" })).toBe(0);
  const { body } = await call("GET", "/order/202309/orders", { query: { ids: `1,${orderId}` } });
  expect(body.data.orders.map(({ id }: { id: string }) => id)).toEqual([orderId]);
});

test("an order has one line for each unit, a payment that adds up and ids beyond what a double can hold", async () => {
  const { read } = await givenOrder({ units: 3 });
  const order = await read();
  const pence = (text: string) => Math.round(Number(text) * 100);
  const { payment } = order;
  expect(new Set(order.line_items.map(({ id }: { id: string }) => id)).size).toBe(3);
  expect(pence(payment.sub_total)).toBe(
    order.line_items.reduce((total: number, line: any) => total + pence(line.sale_price), 0),
  );
  expect(pence(payment.sub_total)).toBe(
    pence(payment.original_total_product_price) -
      pence(payment.seller_discount) -
      pence(payment.platform_discount),
  );
  expect(pence(payment.total_amount)).toBe(pence(payment.sub_total) + pence(payment.shipping_fee));
  for (const id of [order.id, order.line_items[0].id, order.line_items[0].sku_id, order.user_id]) {
    expect(Number.isSafeInteger(Number(id))).toBe(false);
  }
});

test("the address is missing on hold and masked afterwards; deadlines and packages come with the end of the hold", async () => {
  const { url, read, orderId } = await givenOrder({ moves: ["pay"] });
  const held = await read();
  expect(held).toMatchObject({ status: "ON_HOLD", is_on_hold_order: true, recipient_address: null });
  expect(held).not.toHaveProperty("rts_sla_time");
  await move(url, orderId, "release");
  const free = await read();
  expect(free).toMatchObject({ status: "AWAITING_SHIPMENT", is_on_hold_order: false });
  expect(free.recipient_address.name).toMatch(/\*/);
  expect(free.rts_sla_time - free.update_time).toBe(2 * 86_400);
  expect(free.line_items[0].package_id).toBe(free.packages[0].id);
  expect(free.line_items[0].package_status).toBe("TO_FULFILL");
});

test("a shipped order goes to its buyer, with a label before and a track after", async () => {
  const { url, call, read, orderId } = await givenOrder({ moves: ["pay", "release"] });
  const packageId = (await read()).packages[0].id;
  const documents = `/fulfillment/202309/packages/${packageId}/shipping_documents`;
  const label = { query: { document_type: "SHIPPING_LABEL" } };
  expect((await call("GET", documents, label)).body.code).not.toBe(0);

  const ship = { body: { handover_method: "PICKUP" } };
  expect((await call("POST", `/fulfillment/202309/packages/${packageId}/ship`, ship)).body.code).toBe(0);
  const { data } = (await call("GET", documents, label)).body;
  const pdf = await fetch(data.doc_url);
  const text = await pdf.text();
  expect(pdf.headers.get("content-type")).toBe("application/pdf");
  expect(text).toContain(data.tracking_number);
  expect(text.slice(Number(/startxref\n(\d+)/.exec(text)![1]))).toMatch(/^xref/);
  expect((await fetch(data.doc_url.replace(/token=./, "token=x"))).status).toBe(403);

  for (const name of ["collect", "deliver", "complete"]) await move(url, orderId, name);
  const order = await read();
  expect(order.status).toBe("COMPLETED");
  expect(order.line_items[0]).toMatchObject({
    package_status: "COMPLETED",
    tracking_number: data.tracking_number,
  });
  const track = (await call("GET", `/fulfillment/202309/orders/${orderId}/tracking`)).body.data.tracking;
  expect(track).toHaveLength(3);
  expect(Math.abs(Date.now() - track[0].update_time_millis)).toBeLessThan(60_000);
});

test.each([
  ["twice", ["pay", "release"], true],
  ["after its cancellation", ["pay", "release", "cancel"], false],
  ["while the buyer's wish to cancel is unanswered", ["pay", "release", "request-cancel"], false],
])("an order is not shipped %s", async (_name, moves, shipped) => {
  const { url, call, orderId, read } = await givenOrder({ moves });
  const packageId = (await read()).packages[0].id;
  const ship = () => call("POST", `/fulfillment/202309/packages/${packageId}/ship`, { body: {} });
  if (shipped) expect((await ship()).body.code).toBe(0);
  const refused = await ship();
  expect(refused.body.code).toBeGreaterThan(0);
  expect(refused.body.message).not.toBe("");
  const [entry] = await ledger(url, "orders");
  expect(entry).toMatchObject({ orderId, shipCallsAccepted: shipped ? 1 : 0 });
});

test("a batch ships what it can and names the rest", async () => {
  const { call, read } = await givenOrder({ moves: ["pay", "release"] });
  const packageId = (await read()).packages[0].id;
  const { body } = await call("POST", "/fulfillment/202309/packages/ship", {
    body: {
      packages: [
        { id: "123", handover_method: "PICKUP" },
        { id: packageId, handover_method: "PICKUP" },
      ],
    },
  });
  expect(body.code).toBe(0);
  expect(body.data.errors).toEqual([expect.objectContaining({ detail: { package_id: "123" } })]);
  expect((await read()).status).toBe("AWAITING_COLLECTION");
});

test("an order with seller shipping ships line by line, and is partly shipped in between", async () => {
  const { call, read, orderId } = await givenOrder({ shippingType: "SELLER", moves: ["pay", "release"] });
  const before = await read();
  expect(before.packages).toEqual([]);
  const mark = (lineIds: string[]) =>
    call("POST", `/fulfillment/202309/orders/${orderId}/packages`, {
      body: {
        order_line_item_ids: lineIds,
        tracking_number: "JD0002233445",
        shipping_provider_id: "6617675021119438850",
      },
    });
  const [first, second] = before.line_items.map(({ id }: { id: string }) => id);
  expect((await mark([first])).body.data.package_id).toMatch(/^\d+$/);
  expect((await read()).status).toBe("PARTIALLY_SHIPPING");
  expect((await mark([first])).body.code).toBeGreaterThan(0);
  expect((await mark([second])).body.code).toBe(0);
  const after = await read();
  expect(after.status).toBe("AWAITING_COLLECTION");
  expect(new Set(after.line_items.map(({ package_id: id }: any) => id)).size).toBe(2);
});

test.each([[[]], [["pay"]], [["pay", "cancel"]]])(
  "an order after the moves %j is not marked as shipped",
  async (moves) => {
    const { call, read, orderId } = await givenOrder({ shippingType: "SELLER", moves });
    const { status } = await read();
    const body = { tracking_number: "JD0002233445", shipping_provider_id: "6617675021119438850" };
    const answer = await call("POST", `/fulfillment/202309/orders/${orderId}/packages`, { body });
    expect(answer.body).toMatchObject({ code: 21011007, message: expect.stringContaining(status) });
    expect(await read()).toMatchObject({ status, packages: [] });
  },
);

test("the seller cancels a whole order while it may be cancelled, and only then", async () => {
  const { url, call, read, orderId } = await givenOrder();
  const cancel = () =>
    call("POST", "/return_refund/202309/cancellations", {
      body: { order_id: orderId, cancel_reason: "seller_cancel_reason_out_of_stock" },
    });
  expect((await cancel()).body.code).toBeGreaterThan(0);
  await move(url, orderId, "pay");
  const { body } = await cancel();
  expect(body.data.cancel_status).toMatch(/^CANCELLATION_REQUEST_/);
  expect(await read()).toMatchObject({
    status: "CANCELLED",
    cancellation_initiator: "SELLER",
    cancel_reason: "seller_cancel_reason_out_of_stock",
  });
  expect((await cancel()).body.code).toBeGreaterThan(0);
  expect((await ledger(url, "orders"))[0].cancelCount).toBe(1);
});

test("a buyer's request to cancel waits for the seller, who may reject or approve it", async () => {
  const { url, call, read, orderId } = await givenOrder({ moves: ["pay", "release", "request-cancel"] });
  const pending = async () => {
    const body = { order_ids: [orderId], cancel_status: ["CANCELLATION_REQUEST_PENDING"] };
    const answer = await call("POST", "/return_refund/202309/cancellations/search", { body });
    return answer.body.data.cancellations[0]?.cancel_id;
  };
  const answer = (id: string, decision: string, body?: object) =>
    call("POST", `/return_refund/202309/cancellations/${id}/${decision}`, { body });
  const first = await pending();
  expect((await read()).is_buyer_request_cancel).toBe(true);
  expect((await answer(first, "reject", { reject_reason: "seller_reject_shipped" })).body.code).toBe(0);
  expect(await read()).toMatchObject({ status: "AWAITING_SHIPMENT", is_buyer_request_cancel: false });

  await move(url, orderId, "request-cancel");
  const second = await pending();
  expect((await answer(second, "approve")).body.code).toBe(0);
  expect(await read()).toMatchObject({ status: "CANCELLED", cancellation_initiator: "BUYER" });
});

test("left alone, an order moves through its states by itself, and an unshipped one is cancelled by the system", async () => {
  const { url } = await givenSimulator({ timeScale: 100_000 });
  const { call } = await givenClient(url);
  const [sku] = await skusOf(url);
  const order = { lines: [{ skuId: sku.id, quantity: 1 }], durations: {} };
  const { orderId: shipped } = await placeOrder(url, { ...order, durations: { shipmentMs: null } });
  const { orderId: forgotten } = await placeOrder(url, order);
  const statusOf = async (id: string) =>
    (await ledger(url, "orders")).find(({ orderId }) => orderId === id).status;
  const waiting = await until("the order awaits shipment", async () => {
    const { body } = await call("POST", search, { body: { order_status: "AWAITING_SHIPMENT" } });
    return body.data.orders.find(({ id }: { id: string }) => id === shipped);
  });
  await call("POST", `/fulfillment/202309/packages/${waiting.packages[0].id}/ship`, { body: {} });
  await until("the shipped order is completed", async () => (await statusOf(shipped)) === "COMPLETED");
  await until("the other one is cancelled", async () => (await statusOf(forgotten)) === "CANCELLED");
  const { body } = await call("GET", "/order/202309/orders", { query: { ids: forgotten } });
  expect(body.data.orders[0].cancellation_initiator).toBe("SYSTEM");
});

test("a buyer who changes their mind cancels at the time that was said", async () => {
  const { url } = await givenSimulator();
  const [sku] = await skusOf(url);
  await placeOrder(url, { lines: [{ skuId: sku.id, quantity: 1 }], buyerCancelsIn: 30 });
  const order = await until("the order is cancelled", async () => {
    const [entry] = await ledger(url, "orders");
    return entry.status === "CANCELLED" ? entry : null;
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
  const typo = { lines: [{ skuId: "1", quantity: 0 }], durations: untilTold };
  expect((await control(url, "POST", "/_sim/orders", typo)).body.details).toContain("quantity");
});

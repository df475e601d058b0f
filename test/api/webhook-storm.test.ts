import { createHmac, randomBytes, randomInt, randomUUID } from "node:crypto";
import pMap from "p-map";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { IntakeDependencies } from "../../src/intake/dependencies.ts";
import { isSignedByApp } from "../../src/integrations/tiktok-shop/signature.ts";
import { asId, type ChannelOrderId } from "../../src/domain/ids.ts";
import { at } from "../domain/stock/stock-builders.ts";
import { aLine, snapshot } from "../domain/order/order-builders.ts";
import { dispatchToTheEnd } from "../support/dispatch.ts";
import { type Random, randomFrom } from "../support/random.ts";
import { noChannel, silent } from "../support/workers.ts";
import { until } from "../support/until.ts";
import { type ApiBed, type Seller, signedWebhook, startApiBed, tiktokApp } from "./api-bed.ts";

const isFull = process.env["CREATORFLOW_TEST_FULL"] === "yes";

describe("a forged signature", () => {
  const body = Buffer.from(
    JSON.stringify({ type: 1, shop_id: "7", data: { order_id: "1", pad: "x".repeat(970) } }),
  );
  const signature = createHmac("sha256", tiktokApp.secret).update(tiktokApp.key).update(body).digest("hex");

  test("is every single-bit flip of a signed body of a kilobyte", () => {
    expect(body.length).toBeGreaterThanOrEqual(1_024);
    expect(isSignedByApp(body, signature, tiktokApp)).toBe(true);
    const accepted: number[] = [];
    for (let bit = 0; bit < body.length * 8; bit += 1) {
      const flipped = Buffer.from(body);
      flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7));
      if (isSignedByApp(flipped, signature, tiktokApp)) accepted.push(bit);
    }
    expect(accepted).toEqual([]);
  });

  test("is every single-bit flip of the signature's value and of its text", () => {
    const accepted: string[] = [];
    for (let bit = 0; bit < 256; bit += 1) {
      const value = Buffer.from(signature, "hex");
      value[bit >> 3] = value[bit >> 3]! ^ (1 << (bit & 7));
      if (isSignedByApp(body, value.toString("hex"), tiktokApp)) accepted.push(`value ${bit}`);
    }
    for (let bit = 0; bit < signature.length * 8; bit += 1) {
      const text = Buffer.from(signature);
      text[bit >> 3] = text[bit >> 3]! ^ (1 << (bit & 7));
      if (isSignedByApp(body, text.toString("latin1"), tiktokApp)) accepted.push(`text ${bit}`);
    }
    expect(accepted).toEqual([]);
  });

  test.each([
    ["in upper case", signature.toUpperCase()],
    ["with one letter in upper case", signature.replace(/[a-f]/, (letter) => letter.toUpperCase())],
    ["cut by a digit", signature.slice(1)],
    ["cut by two digits", signature.slice(0, -2)],
    ["doubled", signature + signature],
    ["doubled as two headers are joined", `${signature}, ${signature}`],
    ["with a line end", `${signature}\n`],
    ["with a space before it", ` ${signature}`],
    ["as a bearer token", `Bearer ${signature}`],
    ["in base64", Buffer.from(signature, "hex").toString("base64")],
    ["empty", ""],
  ])("is a genuine one %s", (_how, given) => {
    expect(isSignedByApp(body, given, tiktokApp)).toBe(false);
  });

  test("is one made with another secret, another key, or over the same JSON written anew", () => {
    const sign = (secret: string, key: string, bytes: Buffer) =>
      createHmac("sha256", secret).update(key).update(bytes).digest("hex");
    const anew = Buffer.from(JSON.stringify(JSON.parse(body.toString()), null, 1));
    for (const forged of [
      sign("other", tiktokApp.key, body),
      sign("", tiktokApp.key, body),
      sign(tiktokApp.secret, "other", body),
      sign(tiktokApp.secret, "", body),
      sign(tiktokApp.secret, tiktokApp.key, anew),
    ]) {
      expect(isSignedByApp(body, forged, tiktokApp)).toBe(false);
    }
    expect(isSignedByApp(anew, signature, tiktokApp)).toBe(false);
  });
});

describe("a storm of repeated webhooks", () => {
  let bed: ApiBed;
  let seller: Seller;
  beforeAll(async () => {
    bed = await startApiBed();
    seller = await bed.addSeller();
    await bed.addSku(seller, { code: "mug", quantity: 1_000_000 });
  });
  afterAll(() => bed.close());

  test("has one effect an event: every order is stored and told once, however often its news came", {
    timeout: 900_000,
  }, async () => {
    const [events, deliveries] = isFull ? [5_000, 100_000] : [100, 2_000];
    const bodies = Array.from({ length: events }, (_, index) =>
      JSON.stringify({
        type: 1,
        tts_notification_id: randomUUID(),
        shop_id: seller.channelShopId,
        timestamp: 1_718_305_585,
        data: { order_id: String(576_000_000_000 + index), order_status: "UNPAID" },
      }),
    );
    const seed = randomInt(1, 2 ** 31);
    onTestFailed(() => console.error(`The storm was drawn from seed ${seed}.`));
    const random = randomFrom(seed);
    const sent = shuffled(random, repeated(random, bodies, deliveries));
    expect(sent).toHaveLength(deliveries);
    const fetched = new Map<string, number>();
    const told = new Map<string, number>();
    const intake = fakeWorld(bed, fetched, told);
    let open = true;
    // The dispatchers work while the storm goes on, two of them.
    const dispatchers = [0, 1].map(() =>
      until(
        "all deliveries worked off",
        async () => {
          await dispatchToTheEnd(intake);
          return !open && (await waiting(bed)) === 0;
        },
        { seconds: 900 },
      ),
    );
    const statuses = await pMap(
      sent,
      async (body) => (await bed.app.inject(signedWebhook(body))).statusCode,
      {
        concurrency: 64,
      },
    );
    open = false;
    await Promise.all(dispatchers);
    expect(new Set(statuses)).toEqual(new Set([200]));
    const { rows } = await bed.superuser.query(
      `select (select count(*) from webhook_deliveries where state = 'processed')::integer as processed,
         (select count(*) from webhook_deliveries where state <> 'processed')::integer as open,
         (select sum(duplicates) from webhook_deliveries)::integer as duplicates,
         (select count(*) from orders)::integer as orders, (select count(*) from order_snapshots)::integer as snapshots`,
    );
    expect(rows).toEqual([
      { processed: events, open: 0, duplicates: deliveries - events, orders: events, snapshots: events },
    ]);
    expect([...fetched.values()].filter((times) => times !== 1)).toEqual([]);
    expect([...told.values()].filter((times) => times !== 1)).toEqual([]);
    expect(told.size).toBe(events);
  });
});

/** A channel that knows every order, and a Temporal that counts who was told. */
function fakeWorld(bed: ApiBed, fetched: Map<string, number>, told: Map<string, number>): IntakeDependencies {
  const count = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
  return {
    db: bed.dispatcherDb,
    channel: {
      ...noChannel,
      fetchOrders: (_shop: unknown, orderIds: readonly ChannelOrderId[]) =>
        Promise.resolve(
          orderIds.map((orderId) => {
            count(fetched, orderId);
            const order = snapshot("unpaid", {
              orderId,
              updatedAt: at(1),
              lines: [aLine("1", { channelSkuId: asId("channel mug") })],
            });
            return { order, recipient: null };
          }),
        ),
    },
    client: {
      workflow: {
        signalWithStart: (_type: string, { workflowId }: { workflowId: string }) => {
          count(told, workflowId);
          return Promise.resolve();
        },
      },
    },
    secretKey: randomBytes(32),
    logger: silent,
    queuePrefix: "",
    timeScale: 1,
    orderSyncMilliseconds: 300_000,
    inventorySyncMilliseconds: 900_000,
  } as unknown as IntakeDependencies;
}

async function waiting(bed: ApiBed): Promise<number> {
  const { rows } = await bed.superuser.query<{ count: number }>(
    "select count(*)::integer as count from webhook_deliveries where state = 'waiting'",
  );
  return rows[0]!.count;
}

/** Each body once at least and 50 times at most. */
function repeated(random: Random, bodies: readonly string[], total: number): string[] {
  const times = bodies.map(() => 1);
  for (let left = total - bodies.length, index = 0; left > 0; index = (index + 1) % bodies.length) {
    const more = Math.min(left, 50 - times[index]!, random.whole(0, 39));
    times[index] = times[index]! + more;
    left -= more;
  }
  return bodies.flatMap((body, index) => Array.from({ length: times[index]! }, () => body));
}

function shuffled<Item>(random: Random, items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, place: random.whole(0, 2 ** 31) }))
    .sort((left, right) => left.place - right.place)
    .map(({ item }) => item);
}

import type { CrashPoint } from "../../src/crash-points.ts";
import { until } from "../support/until.ts";
import type { CarefulClient } from "./careful-client.ts";
import { type ChaosStack, skusOf } from "./stack.ts";

/** Traffic that leads a process to a crash point, a little at a time. */
export interface CrashTraffic {
  readonly client: CarefulClient;
  lead(point: CrashPoint): Promise<void>;
}

const quick = { unpaidMs: 100, onHoldMs: 300, shipmentMs: null, collectionMs: 1_500, transitMs: 200 };
const untilMoved = { unpaidMs: 0, onHoldMs: null, shipmentMs: null };

export async function createCrashTraffic(stack: ChaosStack, client: CarefulClient): Promise<CrashTraffic> {
  const [scarce, ...others] = (await skusOf(stack)).map(({ id }) => id);
  if (scarce === undefined) throw new Error("The shop has too few SKUs");
  let turn = 0;
  // Another one each time: what died with its process keeps its SKU's next push waiting for seconds.
  const nextSku = (): string => others[(turn += 1) % others.length] ?? scarce;
  const rows = await stack.sql<{ channel_sku_id: string; sku_id: string }>(
    "select channel_sku_id, sku_id from listings where channel_sku_id = any ($1)",
    [[scarce, ...others]],
  );
  const ours = new Map(rows.map((row) => [row.channel_sku_id, row.sku_id]));
  const placeOrder = async (skuId: string, durations: object): Promise<string> => {
    const body = { lines: [{ skuId, quantity: 2 }], durations, oversell: true };
    return (await stack.control<{ orderId: string }>("POST", "/_sim/orders", body)).orderId;
  };
  // More than there is, so that whatever is added is owed to somebody who must be woken.
  await stack.control("POST", "/_sim/orders", {
    lines: [{ skuId: scarce, quantity: 100 }],
    durations: untilMoved,
    oversell: true,
  });

  const cancelOne = async (): Promise<void> => {
    const orderId = await placeOrder(nextSku(), untilMoved);
    const order = await until(
      "the order is known",
      async () =>
        (
          await stack.sql<{ id: string }>(
            "select id from orders where channel_order_id = $1 and handled_version > 0",
            [orderId],
          )
        )[0],
      { seconds: 60 },
    );
    client.cancel(order.id);
  };

  /** Sets a threshold that is above what there is and takes it away again, and takes a unit away in between. */
  const makeScarce = async (skuId: string): Promise<void> => {
    const sku = ours.get(skuId) ?? "";
    const setThreshold = async (threshold: number): Promise<void> => {
      await stack.sql("update skus set low_stock_threshold = $2, threshold_mode = 'fixed' where id = $1", [
        sku,
        threshold,
      ]);
      await stack.sql(
        `insert into outbox (tenant_id, kind, key, payload)
         select tenant_id, 'check_alerts', gen_random_uuid()::text, jsonb_build_object('skuId', id) from skus where id = $1`,
        [sku],
      );
    };
    // A proof that has doubts about a SKU which is in order.
    await stack.sql(
      `insert into outbox (tenant_id, kind, key, payload)
       select tenant_id, 'check_stock', gen_random_uuid()::text, jsonb_build_object('skuId', id) from skus where id = $1`,
      [sku],
    );
    await setThreshold(10_000);
    client.adjust(sku, 1);
    // Ended at once it would be over before anybody is told. Who dies meanwhile tells nobody.
    await until(
      "a mail of the alert is on its way",
      async () =>
        (
          await stack.sql(
            `select 1 from alert_deliveries as delivery join alerts as alert on alert.id = delivery.alert_id
             where alert.sku_id = $1 and delivery.medium = 'email' and delivery.attempts > 0`,
            [sku],
          )
        ).length > 0,
      { seconds: 4 },
    ).catch(() => undefined);
    await setThreshold(0);
  };

  /** A creator asks for a large change, and the admin approves whatever waits. */
  const approveLargeOnes = async (skuId: string): Promise<void> => {
    const route = `/api/inventory/products/${ours.get(skuId) ?? ""}/adjust`;
    client.ask(route, { quantity: 101, reason: "a pallet" }, "creator@demo.local");
    const waiting = await stack.sql<{ id: string }>(
      "select id from approvals where state in ('waiting', 'approving') limit 3",
    );
    for (const { id } of waiting) client.ask(`/api/approvals/${id}/approve`, {}, "admin@demo.local");
  };
  const importFile = async (skuId: string): Promise<void> => {
    const [sku] = await stack.sql<{ code: string }>("select code from skus where id = $1", [
      ours.get(skuId) ?? "",
    ]);
    const file = `sku,quantity,reason\n${sku?.code ?? ""},1,found\nno such sku,1,found\n`;
    client.ask("/api/inventory/import", file, "admin@demo.local");
  };
  const holdForAMoment = (skuId: string): void => {
    const body = {
      quantity: 1,
      expires_at: new Date(Date.now() + 5_000).toISOString(),
      reason: "live show",
    };
    client.ask(`/api/inventory/products/${ours.get(skuId) ?? ""}/holds`, body, "admin@demo.local");
  };

  /** The channel refuses numbers until one has failed; who dies meanwhile does not hear of that. */
  const refuseNumbers = async (skuId: string): Promise<void> => {
    const sku = ours.get(skuId) ?? "";
    const refusals = { fault: "partial", endpoint: "inventory/update", percent: 100, itemPercent: 100 };
    await stack.control("PUT", "/_sim/faults", { seed: "refusing", calls: [refusals] });
    client.adjust(sku, 2);
    await until(
      "a number has failed",
      async () =>
        (await stack.sql("select from listings where sku_id = $1 and sync_status = 'failed'", [sku])).length >
        0,
      { seconds: 6 },
    ).catch(() => undefined);
    await stack.control("PUT", "/_sim/faults", {});
  };

  return {
    client,
    async lead(point) {
      if (point.startsWith("shop: ")) return;
      if (point.startsWith("offer: entity told")) {
        await refuseNumbers(nextSku());
        return;
      }
      if (point.startsWith("outbox: entity told")) {
        await stack.sql(
          `insert into outbox (tenant_id, kind, key, payload)
           select tenant_id, 'push_offer', gen_random_uuid()::text, jsonb_build_object('skuId', id, 'byEntity', true)
           from skus where id = $1`,
          [ours.get(nextSku()) ?? ""],
        );
        return;
      }
      if (point.startsWith("tokens: ")) await stack.control("POST", "/_sim/tokens/expire");
      if (point.startsWith("cancellation: ")) {
        // Who dies before the order is known must not keep us waiting for it.
        await cancelOne().catch(() => undefined);
        return;
      }
      const skuId = nextSku();
      // Down over its threshold and up again, so that an alert opens, people are told of it, and it is over.
      if (point.includes("alert") || point.includes("stock compared")) {
        await makeScarce(skuId);
        return;
      }
      if (point.includes("approval")) {
        await approveLargeOnes(skuId);
        return;
      }
      if (point.includes("bulk") || point.startsWith("import: ")) {
        await importFile(skuId);
        return;
      }
      if (point.includes("hold")) {
        client.adjust(ours.get(skuId) ?? "", 2);
        holdForAMoment(skuId);
        return;
      }
      if (point.includes("news")) {
        // Locked for a campaign and given back: the channel tells of both, and the sum stays what it was.
        for (const campaign of [1, 0]) {
          await stack.control("POST", "/_sim/pools", { skuId, campaign, creator: 0 });
        }
        return;
      }
      if (point.startsWith("stock sync: ")) {
        client.ask(`/api/inventory/products/${ours.get(skuId) ?? ""}/sync`, {}, "admin@demo.local");
        return;
      }
      await placeOrder(skuId, quick);
      await placeOrder(scarce, quick);
      client.adjust(ours.get(skuId) ?? "", 2);
      client.adjust(ours.get(scarce) ?? "", 2);
    },
  };
}

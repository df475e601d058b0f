import Fastify from "fastify";
import { z } from "zod";
import { openDatabase } from "../src/db/connection.ts";
import { takeInDelivery } from "../src/db/webhook-deliveries.ts";

/**
 * Entry point: the least that could take webhooks in. The product's own insert, and nothing before or after it: no
 * signature, no schema, no headers, no log.
 */
const options = z
  .object({ port: z.number(), databaseUrl: z.string() })
  .parse(JSON.parse(process.argv[2] ?? "{}"));

const poolSize = 10;
const bodySchema = z.object({
  type: z.number(),
  tts_notification_id: z.string(),
  shop_id: z.string(),
  data: z.object({ order_id: z.string() }),
});

const db = openDatabase({ url: options.databaseUrl, role: "cf_ingest", poolSize });
const app = Fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
app.get("/", () => ({ ready: true }));
app.post<{ Body: Buffer }>("/webhooks/tiktok-shop", async ({ body }, reply) => {
  const message = bodySchema.parse(JSON.parse(body.toString("utf8")));
  await takeInDelivery(db, {
    channel: "tiktok-shop",
    sender: message.shop_id,
    channelShopId: message.shop_id,
    sellerOpenId: null,
    dedupeKey: message.tts_notification_id,
    topic: message.type,
    channelOrderId: message.data.order_id,
    stockNewsOf: null,
    body,
    headers: {},
    state: "kept",
    reason: null,
  });
  return await reply.code(200).send();
});
await app.listen({ host: "127.0.0.1", port: options.port });

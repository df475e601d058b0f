import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type AlertAnswer, answerAlert, openAlert } from "../../src/db/alerts.ts";
import type { Database } from "../../src/db/connection.ts";
import { savePhone, savePreferences } from "../../src/db/notification-preferences.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { type TenantTransaction, withTenant } from "../../src/db/tenant.ts";
import { createUser } from "../../src/db/users.ts";
import { type AlertId, asId, type SkuId, type UserId } from "../../src/domain/ids.ts";
import type { IntakeDependencies } from "../../src/intake/dependencies.ts";
import { outboxClasses, workOffOutbox } from "../../src/intake/outbox.ts";
import type { Mailer, TextMessage } from "../../src/integrations/ports/messages.ts";
import { createSmtpMailer } from "../../src/integrations/smtp/mailer.ts";
import { bundleWorkflows, type RunningWorkers } from "../../src/workers.ts";
import { alertWorkflowId, taskQueues } from "../../src/workflows/addressing.ts";
import { type AlertInput, alertNews } from "../../src/workflows/messages.ts";
import { adjust } from "../domain/stock/stock-builders.ts";
import { findReplayFailures, historiesOf, recordWhenAsked } from "../support/histories.ts";
import { type MailServer, startMailServer } from "../support/mail-server.ts";
import { type SeededShop, seedShop, seedSku } from "../support/seed.ts";
import { type TestTemporal, testTemporal } from "../support/temporal.ts";
import { until } from "../support/until.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";
import { noChannel, silent, startTestWorkers } from "../support/workers.ts";

const secretKey = Buffer.alloc(32, 9);
const phone = "+447700900123";

let database: UsedTestDatabase;
let db: Database;
let dispatcherDb: Database;
let temporal: TestTemporal;
let workers: RunningWorkers;
let server: MailServer;
let smtp: ReturnType<typeof createSmtpMailer>;
/** What happens instead of, or after, a mail is sent. */
let afterSending: (() => void) | null = null;
const texts: TextMessage[] = [];

const mailer: Mailer = {
  async send(mail) {
    await smtp.send(mail);
    afterSending?.();
  },
};

useTestDatabase((made) => {
  database = made;
  db = database.open();
  dispatcherDb = database.open("cf_dispatcher");
});
beforeAll(async () => {
  server = await startMailServer();
  smtp = createSmtpMailer({
    url: server.url,
    from: "alerts@creatorflow.example",
    timeoutMilliseconds: 2_000,
  });
  temporal = await testTemporal();
  workers = await startTestWorkers(temporal, db, noChannel, {
    alerting: {
      mailer,
      texter: { send: (text) => Promise.resolve(void texts.push(text)) },
      secretKey,
      engineeringEmail: "engineering@example.test",
      lowStockAlerts: true,
    },
  });
});
afterAll(async () => {
  await workers.stop();
  await temporal.close();
  smtp.close();
  await server.stop();
});

let shop: SeededShop;
let anna: UserId;
let people = 0;

/** Each test has a seller of its own, with a creator and an admin. */
beforeEach(async () => {
  shop = await seedShop(db);
  people += 1;
  anna = await addPerson("anna", "creator");
  await addPerson("admin", "admin");
});
afterEach(() => {
  afterSending = null;
  server.forgetTroubles();
});

const inShop = <Result>(work: (transaction: TenantTransaction) => Promise<Result>) =>
  withTenant(db, shop.tenantId, work);
const addressOf = (name: string) => `${name}-${people}@example.test`;
const addPerson = (name: string, role: "creator" | "admin") =>
  inShop((transaction) =>
    createUser(transaction, shop.tenantId, { email: addressOf(name), name, role, passwordHash: "none" }),
  );

/** Lets the outbox tell the workflows, as the dispatcher does. */
async function tell(timeScale = 1): Promise<void> {
  const intake = {
    db: dispatcherDb,
    client: temporal.client,
    logger: silent,
    queuePrefix: temporal.taskQueuePrefix,
    timeScale,
  } as IntakeDependencies;
  while ((await workOffOutbox(intake, outboxClasses.alerts)) > 0);
}

/** An alert as the stock opens it. */
async function runLow(timeScale = 1): Promise<{ alertId: AlertId; skuId: SkuId }> {
  const skuId = await seedSku(db, shop, 11);
  await bringBy(skuId, -2, "low");
  await tell(timeScale);
  return { alertId: await alertOf(skuId), skuId };
}

const bringBy = (skuId: SkuId, units: number, name: string) =>
  applyStockBatch(db, shop.tenantId, skuId, [adjust(`${name}-${skuId}`, units)]);

async function alertOf(skuId: SkuId): Promise<AlertId> {
  const { id } = await inShop((transaction) =>
    transaction.selectFrom("alerts").where("sku_id", "=", skuId).select("id").executeTakeFirstOrThrow(),
  );
  return asId<"Alert">(id);
}

/** An alert of another kind. */
async function raise(
  kind: "out_of_stock" | "stock_corrupt" | "sync_failed",
  timeScale = 1,
): Promise<AlertId> {
  const skuId = await seedSku(db, shop, 50);
  await inShop((transaction) =>
    openAlert(transaction, shop.tenantId, { kind, skuId, facts: { reason: "What was found." } }),
  );
  await tell(timeScale);
  return await alertOf(skuId);
}

async function say(alertId: AlertId, answer: AlertAnswer): Promise<void> {
  await inShop((transaction) =>
    answerAlert(transaction, shop.tenantId, alertId, answer, anna, crypto.randomUUID()),
  );
  await tell();
}

/** "person medium rung: state after attempts", in the order in which they were planned. */
async function deliveriesOf(alertId: AlertId): Promise<readonly string[]> {
  const rows = await inShop((transaction) =>
    transaction
      .selectFrom("alert_deliveries as delivery")
      .leftJoin("users", "users.id", "delivery.user_id")
      .where("alert_id", "=", alertId)
      .orderBy("step")
      .orderBy("users.role", "desc")
      .orderBy("medium", "desc")
      .select(["users.name", "medium", "rung", "state", "attempts"])
      .execute(),
  );
  return rows.map(
    ({ name, medium, rung, state, attempts }) =>
      `${name ?? "engineering"} ${medium} ${rung}: ${state} after ${attempts}`,
  );
}

const mailsTo = (name: string) => server.mails.filter(({ to }) => to.includes(addressOf(name)));
const handleOf = (alertId: AlertId) => temporal.client.workflow.getHandle(alertWorkflowId(alertId));
const untilEnded = (alertId: AlertId) =>
  until(
    "the workflow has ended",
    async () => (await handleOf(alertId).describe()).status.name === "COMPLETED",
    {
      seconds: 60,
    },
  );
const untilSent = (alertId: AlertId, deliveries: readonly string[]) =>
  until(
    `these are sent: ${deliveries.join(", ")}`,
    async () => JSON.stringify(await deliveriesOf(alertId)) === JSON.stringify(deliveries),
    { seconds: 60 },
  );

describe("an alert", () => {
  test("is shown in the app and mailed to the creator with what to order, and ends when it is acknowledged", async () => {
    const { alertId } = await runLow();
    await untilSent(alertId, ["anna in_app 0: sent after 1", "anna email 0: sent after 1"]);
    const [mail] = mailsTo("anna");
    expect(mail?.subject).toMatch(/^Low stock: 9 of Product \d+ \(SKU-\d+\) available$/);
    expect(mail?.raw).toContain("there is nothing to reckon an order from");
    expect((await handleOf(alertId).describe()).status.name).toBe("RUNNING");
    await say(alertId, { event: "acknowledge" });
    await untilEnded(alertId);
    expect(mailsTo("admin")).toEqual([]);
  });

  test("is mailed again when the server was busy, once", async () => {
    server.trouble({ at: "data", status: 451 });
    const { alertId } = await runLow();
    await untilSent(alertId, ["anna in_app 0: sent after 1", "anna email 0: sent after 2"]);
    expect(mailsTo("anna")).toHaveLength(1);
    await say(alertId, { event: "resolve" });
    await untilEnded(alertId);
  });

  test("is given up for an address that does not exist, with the server's code, and the others get it", async () => {
    server.trouble({ at: "rcpt", status: 550 });
    // The second rung comes within seconds: a minute is a day of the ladder.
    const { alertId } = await runLow(43_200);
    await untilEnded(alertId);
    expect(await deliveriesOf(alertId)).toEqual([
      "anna in_app 0: sent after 1",
      "anna email 0: given_up after 1",
      "anna in_app 1: sent after 1",
      "anna email 1: sent after 1",
      "admin in_app 1: sent after 1",
      "admin email 1: sent after 1",
    ]);
    const { last_error: reason } = await inShop((transaction) =>
      transaction
        .selectFrom("alert_deliveries")
        .where("alert_id", "=", alertId)
        .where("state", "=", "given_up")
        .select("last_error")
        .executeTakeFirstOrThrow(),
    );
    expect(reason).toBe("SMTP 550 (EENVELOPE)");
  });

  test("that nobody answers is told again to more people, and its workflow ends after the last rung", async () => {
    const alertId = await raise("out_of_stock", 900);
    await untilEnded(alertId);
    const rung = (number: number, ...names: string[]) =>
      names.flatMap((name) =>
        ["in_app", "email"].map((medium) => `${name} ${medium} ${number}: sent after 1`),
      );
    expect(await deliveriesOf(alertId)).toEqual([
      ...rung(0, "anna"),
      ...rung(1, "anna", "admin"),
      ...rung(2, "anna", "admin"),
    ]);
    expect(mailsTo("admin").map(({ subject }) => subject)).toEqual([
      expect.stringMatching(/^Reminder: Out of stock/),
      expect.stringMatching(/^Reminder: Out of stock/),
    ]);
  });

  test("ends when the stock is above the margin again", async () => {
    const { alertId, skuId } = await runLow();
    await untilSent(alertId, ["anna in_app 0: sent after 1", "anna email 0: sent after 1"]);
    await bringBy(skuId, 50, "restocked");
    await tell();
    await untilEnded(alertId);
  });

  test("that is over before anybody is told of it is told to nobody", async () => {
    const skuId = await seedSku(db, shop, 11);
    await bringBy(skuId, -2, "low");
    await bringBy(skuId, 20, "restocked");
    await tell();
    const alertId = await alertOf(skuId);
    await untilEnded(alertId);
    expect(await deliveriesOf(alertId)).toEqual([]);
  });

  test("that is snoozed is told to nobody until then, and then as a new one", async () => {
    const { alertId } = await runLow();
    await untilSent(alertId, ["anna in_app 0: sent after 1", "anna email 0: sent after 1"]);
    await say(alertId, { event: "snooze", until: new Date(Date.now() + 3_000).toISOString() });
    expect(await deliveriesOf(alertId)).toHaveLength(2);
    await untilSent(alertId, [
      "anna in_app 0: sent after 1",
      "anna email 0: sent after 1",
      "anna in_app 0: sent after 1",
      "anna email 0: sent after 1",
    ]);
    await say(alertId, { event: "acknowledge" });
    await untilEnded(alertId);
  });

  test("whose mail cannot be sent until somebody has answered needs it no more", async () => {
    server.trouble({ at: "data", status: 451 }, { at: "data", status: 451 }, { at: "data", status: 451 });
    const { alertId } = await runLow();
    await until("it was turned away", async () =>
      (await deliveriesOf(alertId)).includes("anna email 0: sending after 1"),
    );
    await say(alertId, { event: "acknowledge" });
    await untilEnded(alertId);
    expect((await deliveriesOf(alertId)).at(-1)).toMatch(/^anna email 0: unneeded/);
    expect(mailsTo("anna")).toEqual([]);
  });

  test("is mailed twice at most by a process that dies between sending and marking, under one id", async () => {
    let deaths = 0;
    afterSending = () => {
      deaths += 1;
      if (deaths === 1) throw new Error("The process is gone");
    };
    const { alertId } = await runLow();
    await untilSent(alertId, ["anna in_app 0: sent after 1", "anna email 0: sent after 2"]);
    const ids = mailsTo("anna").map(({ messageId }) => messageId);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
    await say(alertId, { event: "acknowledge" });
    await untilEnded(alertId);
  });

  test("that is critical goes out as a text message too, where the plan has them and the person a phone", async () => {
    await inShop((transaction) => savePhone(transaction, shop.tenantId, anna, phone, secretKey));
    const without = await raise("out_of_stock");
    await untilSent(without, ["anna in_app 0: sent after 1", "anna email 0: sent after 1"]);
    await database.asSuperuser("update tenants set plan = 'premium' where tenant_id = $1", [shop.tenantId]);
    const { alertId: warning } = await runLow();
    await untilSent(warning, ["anna in_app 0: sent after 1", "anna email 0: sent after 1"]);
    const critical = await raise("out_of_stock");
    await untilSent(critical, [
      "anna sms 0: sent after 1",
      "anna in_app 0: sent after 1",
      "anna email 0: sent after 1",
    ]);
    expect(texts.at(-1)).toMatchObject({
      to: phone,
      body: expect.stringMatching(/^CreatorFlow: Out of stock/),
    });
  });

  test("that a person does not want by mail is shown in the app alone", async () => {
    await inShop((transaction) =>
      savePreferences(transaction, shop.tenantId, anna, [
        { kind: "low_stock", in_app: true, email: false, sms: false },
      ]),
    );
    const { alertId } = await runLow();
    await untilSent(alertId, ["anna in_app 0: sent after 1"]);
    expect(mailsTo("anna")).toEqual([]);
  });

  test("about a corrupt number goes to engineering alone, about a failed sync to both", async () => {
    const corrupt = await raise("stock_corrupt");
    await untilSent(corrupt, ["engineering email 0: sent after 1"]);
    const failed = await raise("sync_failed");
    await until(
      "both are told",
      async () => (await deliveriesOf(failed)).filter((each) => each.includes("sent")).length === 3,
    );
    const subjects = server.mails
      .filter(({ to }) => to.includes("engineering@example.test"))
      .map(({ subject }) => subject);
    expect(subjects.some((subject) => subject.includes("does not agree with its ledger"))).toBe(true);
    expect(subjects.some((subject) => subject.includes("could not be set"))).toBe(true);
    expect(mailsTo("anna")).toHaveLength(1);
  });

  test("beyond 30 mails within an hour waits, and is sent to whoever has got fewer", async () => {
    const { alertId: earlier } = await runLow();
    await untilSent(earlier, ["anna in_app 0: sent after 1", "anna email 0: sent after 1"]);
    await database.asSuperuser(
      `insert into alert_deliveries (tenant_id, alert_id, user_id, medium, step, rung, state, ended_at)
       select tenant_id, alert_id, user_id, medium, number, 0, 'sent', now()
       from alert_deliveries cross join generate_series(100, 130) as number where alert_id = $1 and medium = 'email'`,
      [earlier],
    );
    const { alertId } = await runLow();
    await until("it was looked at", async () => (await deliveriesOf(alertId)).length === 2);
    expect(await deliveriesOf(alertId)).toEqual(["anna in_app 0: sent after 1", "anna email 0: due after 0"]);
    expect(mailsTo("anna")).toHaveLength(1);
    await handleOf(alertId).terminate("the test is over");
  });

  test("continues as new with all that it has to do", async () => {
    const skuId = await seedSku(db, shop, 11);
    await bringBy(skuId, -2, "low");
    const alertId = await alertOf(skuId);
    const input: AlertInput = {
      tenantId: shop.tenantId,
      alertId,
      queuePrefix: temporal.taskQueuePrefix,
      historyLengthMaximum: 8,
    };
    await temporal.client.workflow.signalWithStart("alertDelivery", {
      workflowId: alertWorkflowId(alertId),
      taskQueue: taskQueues(temporal.taskQueuePrefix).orders,
      args: [input],
      signal: alertNews,
      signalArgs: [],
    });
    await untilSent(alertId, ["anna in_app 0: sent after 1", "anna email 0: sent after 1"]);
    await until("it has continued", async () => {
      const runs = temporal.client.workflow.list({ query: `WorkflowId = "${alertWorkflowId(alertId)}"` });
      for await (const run of runs) if (run.status.name === "CONTINUED_AS_NEW") return true;
      return false;
    });
    await say(alertId, { event: "acknowledge" });
    await untilEnded(alertId);
    expect(mailsTo("anna")).toHaveLength(1);
  });
});

test("no history holds an address, a phone number or what a mail server said", async () => {
  const histories = await historiesOf(temporal);
  expect(histories.length).toBeGreaterThan(10);
  const text = JSON.stringify(histories.map(({ json }) => json));
  const decoded = [...text.matchAll(/"data":"([A-Za-z0-9+/=]+)"/g)].map(([, data]) =>
    Buffer.from(data ?? "", "base64").toString(),
  );
  for (const word of ["example.test", phone.slice(3), "turned away"])
    expect(`${text} ${decoded.join(" ")}`).not.toContain(word);
});

test("every history that these tests made replays", async () => {
  const histories = await historiesOf(temporal);
  expect(await findReplayFailures(await bundleWorkflows(), histories)).toEqual([]);
  await recordWhenAsked(histories);
});

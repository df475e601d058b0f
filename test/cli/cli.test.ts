import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { buildApp } from "../../src/api/app.ts";
import { type ApiClient, findRunning, findSurroundings, logIn } from "../../src/cli/client.ts";
import type { CommandContext } from "../../src/cli/context.ts";
import { createOutput } from "../../src/cli/output.ts";
import { runCommandLine } from "../../src/cli/program.ts";
import { migrate } from "../../src/db/migrate.ts";
import { countUntold, queueRecovery } from "../../src/db/recovery.ts";
import { seedDemo } from "../../src/embedded/demo.ts";
import { startDispatcher } from "../../src/intake/dispatcher.ts";
import type { Loop } from "../../src/intake/loop.ts";
import { prove } from "../../src/proof/proof.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { type DemoShop, secretKey, startDemoShop } from "../support/demo-shop.ts";
import { openTestDatabase } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { silent, startTestWorkers } from "../support/workers.ts";

/** The command line in this process, against everything else running for real: API, worker, dispatcher, simulator. */
let demo: DemoShop;
let workers: RunningWorkers;
let dispatcher: Loop;
let app: FastifyInstance;
let home: string;
let ingestDb: ReturnType<typeof openTestDatabase>;
let report: ReturnType<typeof openTestDatabase>;

beforeAll(async () => {
  demo = await startDemoShop();
  workers = await startTestWorkers(demo.temporal, demo.db, demo.channel);
  dispatcher = startDispatcher(demo.intake);
  ingestDb = openTestDatabase(demo.database.url, "cf_ingest");
  report = openTestDatabase(demo.database.url, "cf_report");
  app = await buildApp({
    db: demo.db,
    ingestDb,
    temporal: demo.temporal.client,
    queuePrefix: demo.temporal.taskQueuePrefix,
    tiktokApp: { ...demo.app, previousSecret: null },
    secretKey,
    logger: silent,
    publicUrl: "http://127.0.0.1",
    temporalUiUrl: null,
    findPendingMigrations: () => Promise.resolve([]),
    rateLimits: { globalPerMinute: 1e6, userPerMinute: 1e6, addressPerMinute: 1e6 },
  });
  const apiUrl = await app.listen({ host: "127.0.0.1", port: 0 });
  await demo.control("PUT", "/_sim/settings", { webhookUrl: `${apiUrl}/webhooks/tiktok-shop` });
  home = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-cli-"));
  const account = { apiUrl, email: "admin@demo.local", password: "demo-password" };
  await fs.writeFile(path.join(home, "demo.json"), JSON.stringify(account));
  await fs.writeFile(
    path.join(home, "running.json"),
    JSON.stringify({
      pid: 1,
      addresses: {
        apiUrl,
        databaseUrl: demo.database.url,
        migrationUrl: null,
        simulatorUrl: demo.simulator.url,
      },
    }),
  );
});
afterAll(async () => {
  await dispatcher.stop();
  await app.close();
  await workers.stop();
  await Promise.all([ingestDb.destroy(), report.destroy()]);
  await demo.close();
  await fs.rm(home, { recursive: true, force: true });
});

const nobody = { apiUrl: null, email: null, password: null };

/** Runs a command line and gives what it wrote and its exit code. */
async function run(line: string, json = false, changes: Partial<CommandContext> = {}) {
  const written = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  let client: Promise<ApiClient> | null = null;
  const context: CommandContext = {
    output: createOutput({ json }),
    api: () => (client ??= findSurroundings(home, nobody).then(logIn)),
    simulatorUrl: async () => (await findRunning(home))?.simulatorUrl ?? "",
    migrate: async () => {
      const target = { url: demo.database.url, migrationUrl: demo.database.migrationUrl };
      return { applied: await migrate(target), target };
    },
    seed: () =>
      seedDemo({
        databaseUrl: demo.database.url,
        simulatorUrl: demo.simulator.url,
        secretKey,
        password: "demo-password",
        log: () => undefined,
      }),
    prove: (settleSeconds) =>
      prove({
        db: report,
        simulatorUrl: demo.simulator.url,
        settleSeconds,
        recordIn: demo.dispatcherDb,
      }),
    recover: async (follow) => {
      const queued = await queueRecovery(demo.dispatcherDb);
      await follow(queued, () => countUntold(demo.dispatcherDb, queued.recoveryId));
    },
    ...changes,
  };
  try {
    const words = line.match(/"[^"]*"|\S+/g) ?? [];
    const exitCode = await runCommandLine(
      words.map((word) => word.replaceAll('"', "")),
      context,
    );
    return { exitCode, ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

async function json<Answer>(line: string): Promise<Answer> {
  const { exitCode, stdout, stderr } = await run(line, true);
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  return JSON.parse(stdout) as Answer;
}

describe("the command line", () => {
  test("shows a burst from its first order to clean books, and who is served when stock comes", async () => {
    const { exitCode, stdout, stderr } = await run("simulate burst --orders 40 --skus 3 --stock 20");
    expect(stderr).toMatch(/reserved/);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/in all\s+20\s+20\s+20/);
    const code = /^(\S+)\s+7\s+7/m.exec(stdout)![1]!;
    expect((await run("proof --settle 60")).stdout).toMatch(/Clean: every number is explained/);

    const short = await json<{ shortage: number }>(`stock show ${code}`);
    const adjusted = await run(`stock adjust ${code} --quantity 3 --reason "Found a box"`);
    expect(adjusted.stdout).toMatch(/available/);
    await until(
      "three served",
      async () => (await json<{ shortage: number }>(`stock show ${code}`)).shortage === short.shortage - 3,
    );
    expect((await run(`stock show ${code}`)).stdout).toMatch(/Found a box/);
    expect((await run("stock show --limit 5")).stdout).toMatch(/5 of 200/);
    const explained = (await run(`stock explain ${code}`)).stdout;
    expect(explained).toMatch(/Every number is the sum of its terms/);
    expect(explained).toMatch(/opening\s+1 ×[\s\S]*reserve\s+\d+ ×[\s\S]*together/);
    expect(explained).toMatch(/RESERVED FOR[\s\S]*IN THE SHOPS[\s\S]*(The sums|not read yet)/);
  });

  test("lists orders, shows one with its whole timeline, and says when nothing matches", async () => {
    const listed = await run("orders list --needs-attention --limit 2");
    expect(listed.stdout).toMatch(/shortage/);
    expect(listed.stdout).toMatch(/2 of 17\. More: --cursor/);
    const page = await json<{ orders: { order_number: string }[] }>("orders list --hold shortage --limit 1");
    const shown = await run(`orders show ${page.orders[0]!.order_number}`);
    expect(shown.stdout).toMatch(/order_received[\s\S]*lines_short/);
    expect((await run("orders list --status returned")).stdout).toMatch(/No orders match/);
  });

  test("recovers every open order and SKU with work, and says the counts; a second time is harmless", async () => {
    const first = await json<{ orders: number; skus: number }>("recover");
    expect(first.orders).toBeGreaterThan(0);
    expect(first.skus).toBeGreaterThan(0);
    const again = await run("recover");
    expect(again.exitCode).toBe(0);
    expect(again.stdout).toContain(`${first.orders} open orders`);
  });

  test("lists the shops with their poll and whether the channel answers", async () => {
    const { shops } = await json<{ shops: { poll: object | null; breaker: object }[] }>("shops list");
    expect(shops).toMatchObject([{ breaker: { state: "closed" } }]);
    expect((await run("shops list")).stdout).toMatch(
      /LAST POLL[\s\S]*RECOVERED[\s\S]*connected[\s\S]*closed/,
    );
  });

  test("lists deliveries and works one off again", async () => {
    const page = await json<{ deliveries: { id: string; state: string }[] }>(
      "deliveries list --limit 3 --state processed",
    );
    expect(page.deliveries).toHaveLength(3);
    expect((await run("deliveries list --limit 3")).stdout).toMatch(/wrong signature/);
    expect((await run("deliveries list --state parked")).stdout).toMatch(/No deliveries match/);
    expect((await run("deliveries replay --state parked")).stdout).toMatch(/0 to be worked off again/);
    expect((await run("deliveries replay 01980000-0000-7000-8000-00000000dead")).exitCode).toBe(4);
    expect(await run("deliveries replay")).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("--state"),
    });
  });

  test("migrates and seeds again without harm", async () => {
    expect((await run("db migrate")).stdout).toMatch(/up to date/);
    expect((await run("db seed")).stdout).toMatch(/admin@demo\.local/);
  });

  test("names a number that was changed by hand and exits with 1; the SKU is stopped until it is repaired", async () => {
    const [sku] = await demo.database.asSuperuser<{ code: string }>(
      "select code from skus order by code limit 1",
    );
    const corrupt = (by: number) =>
      demo.database.asSuperuser(
        `set session_replication_role = replica;
         update stock_levels set current_stock = current_stock + (${by}) from skus
         where skus.id = stock_levels.sku_id and skus.code = '${sku!.code}';
         reset session_replication_role`,
      );
    await corrupt(1);
    const found = await run("proof");
    expect(found.exitCode).toBe(1);
    expect(found.stdout).toContain(`${sku!.code} (+1): on hand is`);
    expect(found.stderr).toMatch(/violations/);
    await until("the SKU is stopped", async () =>
      (await run(`stock show ${sku!.code}`)).stdout.includes("STOPPED since") ? true : null,
    );
    expect((await run(`stock explain ${sku!.code}`)).stdout).toMatch(
      /STOPPED until it is repaired: .*on hand was/,
    );
    const { current_stock: counted } = await json<{ current_stock: number }>(`stock show ${sku!.code}`);
    expect(
      (await run(`stock repair-level ${sku!.code} --on-hand ${counted} --reason "counted it"`)).stdout,
    ).toContain(`${counted} on hand`);
    expect((await run("proof --settle 60")).stdout).toMatch(/Clean: every number is explained/);
  });

  test.each([
    ["orders show", 2, /missing required argument/],
    ["simulate burst --orders many --skus 3 --stock 5", 2, /whole number/],
    ["simulate burst --orders 5 --skus 39 --stock 5", 2, /SKUs for bursts are quiet/],
    ["stock adjust NO-SUCH-SKU --quantity 1 --reason x", 2, /No SKU has the code/],
    ["stock show TEE", 2, /Near to it/],
    ["stock adjust x --quantity 1.5 --reason x", 2, /whole number/],
    ["no such command", 2, /unknown command/],
    ["orders show 123", 4, /not found|No such|does not exist/i],
    ["orders list --limit 9999", 2, /from 1 to 200/],
    ["orders list --status lost", 4, /status/],
  ])("%s ends with %i and says why", async (line, exitCode, why) => {
    const result = await run(line);
    expect(result.exitCode).toBe(exitCode);
    expect(result.stderr).toMatch(why);
  });

  test("says what to do when nothing runs, when nobody is named, and when the API does not answer", async () => {
    const elsewhere = path.join(home, "nowhere");
    await expect(findSurroundings(elsewhere, nobody)).rejects.toMatchObject({ exitCode: 3 });
    await expect(findSurroundings(elsewhere, { ...nobody, apiUrl: "http://127.0.0.1:1" })).rejects.toThrow(
      /who is asking/,
    );
    const unreachable = { apiUrl: "http://127.0.0.1:1", email: "a@b.c", password: "x", simulatorUrl: null };
    await expect(logIn(unreachable)).rejects.toMatchObject({ exitCode: 3 });
    const asJson = await run("stock show NO-SUCH-SKU", true);
    expect(JSON.parse(asJson.stderr)).toMatchObject({ error: expect.stringContaining("NO-SUCH-SKU") });
    const broken = await run("orders list", false, { api: () => Promise.reject(new Error("boom")) });
    expect(broken).toMatchObject({ exitCode: 1, stderr: "boom\n" });
  });
});

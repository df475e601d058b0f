import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findFreePort } from "../../src/embedded/ports.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { signedWebhook, tiktokApp } from "./api-bed.ts";

/** The API as the process that runs in production. */
let database: TestDatabase;
const children: ChildProcess[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await database.drop();
});

function startServer(port: number, environment: Record<string, string>) {
  const child = spawn(process.execPath, ["--import", "tsx", "src/api/server.ts"], {
    env: {
      PATH: process.env["PATH"],
      NODE_ENV: "test",
      LOG_LEVEL: "info",
      PORT: String(port),
      TEMPORAL_ADDRESS: "127.0.0.1:1",
      TIKTOK_SHOP_APP_KEY: tiktokApp.key,
      TIKTOK_SHOP_APP_SECRET: tiktokApp.secret,
      ...environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  const output: string[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk.toString()));
  return { child, told: () => output.join("") };
}

describe("the API process", () => {
  test("takes webhooks in without Temporal, and ends within five seconds of SIGTERM while more come in", async () => {
    const port = await findFreePort();
    const { child, told } = startServer(port, { DATABASE_URL: database.url });
    const url = `http://127.0.0.1:${port}`;
    await until(`it is ready: ${told()}`, async () => (await fetch(`${url}/readyz`)).status === 200, {
      seconds: 90,
    });
    const body = '{"type":1,"tts_notification_id":"1","shop_id":"1","data":{"order_id":"1"}}';
    const post = async () => {
      const { headers } = signedWebhook(body);
      return (await fetch(`${url}/webhooks/tiktok-shop`, { method: "POST", headers, body })).status;
    };
    expect(await post()).toBe(200);
    const underWay = Promise.all(Array.from({ length: 20 }, post));
    const began = performance.now();
    child.kill("SIGTERM");
    const [statuses, [code]] = await Promise.all([
      underWay.catch((error: unknown) => {
        // A connection that came after the last one was taken is refused before anything was sent on it.
        expect(String(error)).toContain("fetch failed");
        return [];
      }),
      once(child, "exit") as Promise<[number | null]>,
    ]);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(code, told()).toBe(0);
    for (const status of statuses) expect([200, 503]).toContain(status);
  });

  test("refuses to start on a login that stands above the tenant wall, and says what to do", async () => {
    const { child, told } = startServer(await findFreePort(), { DATABASE_URL: database.superuserUrl });
    const [code] = (await once(child, "exit")) as [number];
    expect(code).not.toBe(0);
    expect(told()).toContain("may bypass row-level security");
  });

  test("refuses to start without a database and says which key is missing", async () => {
    const { child, told } = startServer(await findFreePort(), {});
    const [code] = (await once(child, "exit")) as [number];
    expect(code).not.toBe(0);
    expect(told()).toContain("DATABASE_URL");
  });

  test("is not ready while migrations are pending", async () => {
    const behind = await createTestDatabase();
    try {
      const { default: pg } = await import("pg");
      const client = new pg.Client({ connectionString: behind.superuserUrl });
      await client.connect();
      await client.query(
        "delete from kysely_migration where name = (select max(name) from kysely_migration)",
      );
      await client.end();
      const port = await findFreePort();
      const { child, told } = startServer(port, { DATABASE_URL: behind.url });
      const answer = await until(
        `it answers: ${told()}`,
        async () => {
          const response = await fetch(`http://127.0.0.1:${port}/readyz`);
          return {
            status: response.status,
            body: (await response.json()) as { pending_migrations: string[] },
          };
        },
        { seconds: 90 },
      );
      expect(answer.status).toBe(503);
      expect(answer.body.pending_migrations).toHaveLength(1);
      child.kill("SIGTERM");
      await once(child, "exit");
    } finally {
      await behind.drop();
    }
  });
});

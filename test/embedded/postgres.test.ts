import fs from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findFreePort } from "../../src/embedded/ports.ts";
import { type EmbeddedPostgres, startPostgres } from "../../src/embedded/postgres.ts";
import { until } from "../support/until.ts";

let home: string;
const running: EmbeddedPostgres[] = [];

beforeEach(async () => {
  home = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-postgres-"));
  await fs.chmod(home, 0o755);
});
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
  await fs.rm(home, { recursive: true, force: true });
});

async function start(port?: number): Promise<EmbeddedPostgres> {
  const server = await startPostgres({ home, port: port ?? (await findFreePort()), log: () => undefined });
  running.push(server);
  return server;
}

async function ask(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query(statement)).rows as unknown[];
  } finally {
    await client.end();
  }
}

const postmasterId = async (): Promise<number> =>
  Number((await fs.readFile(path.join(home, "postgres/postmaster.pid"), "utf8")).split("\n")[0]);

describe("the embedded PostgreSQL", () => {
  it("gives the migrations an owner that is no superuser, and listens on the loopback alone", async () => {
    const server = await start();
    expect(
      await ask(
        server.migrationUrl,
        "select current_user as name, rolsuper, rolcreaterole, current_database() as db from pg_roles where rolname = current_user",
      ),
    ).toEqual([{ name: "creatorflow_owner", rolsuper: false, rolcreaterole: true, db: "creatorflow" }]);
    expect(await ask(server.superuserUrl, "show listen_addresses")).toEqual([
      { listen_addresses: "127.0.0.1" },
    ]);
  });

  it("keeps its random passwords where only we can read them, and refuses a login without one", async () => {
    const server = await start();
    expect((await fs.stat(path.join(home, "postgres.json"))).mode & 0o777).toBe(0o600);
    const wrong = new URL(server.superuserUrl);
    wrong.password = "wrong";
    await expect(ask(wrong.href, "select 1")).rejects.toThrow(/password authentication failed/);
  });

  it.runIf(process.getuid?.() === 0 && process.platform === "linux")(
    "runs as another user when we are root",
    async () => {
      await start();
      const status = await fs.readFile(`/proc/${await postmasterId()}/status`, "utf8");
      expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe("0");
    },
  );

  it("has what was committed after a kill -9 of the server", async () => {
    const first = await start();
    await ask(
      first.migrationUrl,
      "create table kept (id int); insert into kept select generate_series(1, 1000)",
    );
    process.kill(await postmasterId(), "SIGKILL");
    await first.process.ended;
    const second = await start();
    expect(await ask(second.migrationUrl, "select count(*)::int as count from kept")).toEqual([
      { count: 1000 },
    ]);
  });

  it("stops a server of an earlier start that outlived it, and goes on with its data", async () => {
    const first = await start();
    await ask(first.migrationUrl, "create table kept (id int)");
    const second = await start();
    expect(await until("the earlier server has ended", () => first.process.hasEnded())).toBe(true);
    expect(await ask(second.migrationUrl, "select to_regclass('kept') is not null as kept")).toEqual([
      { kept: true },
    ]);
  });

  it("names the setting when its port is taken, and the port is left to whoever has it", async () => {
    const other = net.createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as net.AddressInfo;
    try {
      await expect(start(port)).rejects.toThrow(
        `Port ${port} for the embedded PostgreSQL is taken. Stop what listens there, or set POSTGRES_PORT to a free port.`,
      );
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });

  it("says so when the data is there but its passwords are gone, instead of losing the data", async () => {
    await fs.mkdir(path.join(home, "postgres"));
    await expect(start()).rejects.toThrow(/its passwords in .*postgres\.json are gone/);
  });
});

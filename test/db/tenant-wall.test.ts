import { execFile } from "node:child_process";
import { promisify } from "node:util";
import pg from "pg";
import { beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase, refusePrivilegedLogin } from "../../src/db/connection.ts";
import { withTenant, withTenantSnapshot } from "../../src/db/tenant.ts";
import { type SeededShop, seedShop, seedSku } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

let database: UsedTestDatabase;
let db: Database;
let superuser: pg.Client;
let ours: SeededShop;
let theirs: SeededShop;

useTestDatabase(async (made) => {
  database = made;
  db = database.open();
  ours = await seedShop(db);
  theirs = await seedShop(db);
  await seedSku(db, ours, 5);
  await seedSku(db, theirs, 5);
});
beforeAll(async () => {
  superuser = new pg.Client({ connectionString: database.superuserUrl });
  await superuser.connect();
  return () => superuser.end();
});

/** Every table and partition that holds a seller's rows, by the catalogue and not by a list that may grow old. */
async function tenantTables(): Promise<
  { name: string; walled: boolean; forced: boolean; policies: string[] }[]
> {
  const { rows } = await superuser.query<{
    name: string;
    walled: boolean;
    forced: boolean;
    policies: string[];
  }>(`
    select class.relname as name, class.relrowsecurity as walled, class.relforcerowsecurity as forced,
      array(select polname::text from pg_policy where polrelid = class.oid) as policies
    from pg_class class
    join pg_attribute attribute on attribute.attrelid = class.oid and attribute.attname = 'tenant_id'
    where class.relkind in ('r', 'p') and class.relnamespace = 'public'::regnamespace
    order by class.relname`);
  return rows;
}

describe("the tenant wall", () => {
  test("stands around every table and partition that holds a seller's rows", async () => {
    const tables = await tenantTables();
    expect(tables.length).toBeGreaterThan(25);
    for (const table of tables) {
      expect(table, table.name).toMatchObject({ walled: true, forced: true });
      expect(table.policies, table.name).toContain("tenant_wall");
    }
  });

  test("also stands around a partition that is added later", async () => {
    const owner = new pg.Client({ connectionString: database.migrationUrl });
    await owner.connect();
    await owner.query("select ensure_ledger_partition('2031-03-01')");
    await owner.query("select ensure_ledger_partition('2031-03-01')");
    await owner.end();
    const added = (await tenantTables()).find((table) => table.name === "inventory_transactions_y2031m03");
    expect(added).toMatchObject({ walled: true, forced: true });
    expect(added?.policies).toContain("tenant_wall");
  });

  test("shows nothing to who has entered no tenant", async () => {
    for (const { name } of await tenantTables()) {
      if (name.includes("_y20")) continue;
      const seen = await db
        .selectFrom(name as "skus")
        .select((of) => of.fn.countAll<number>().as("rows"))
        .executeTakeFirstOrThrow();
      expect(seen.rows, name).toBe(0);
    }
  });

  test("shows a seller their own rows alone", async () => {
    const codes = await withTenant(db, ours.tenantId, (transaction) =>
      transaction.selectFrom("skus").select("tenant_id").execute(),
    );
    expect(codes).toEqual([{ tenant_id: ours.tenantId }]);
  });

  test("refuses to write into another seller's rows, and to move rows there", async () => {
    await expect(
      withTenant(db, ours.tenantId, (transaction) =>
        transaction.insertInto("products").values({ tenant_id: theirs.tenantId, title: "foreign" }).execute(),
      ),
    ).rejects.toThrow(/row-level security/);
    await expect(
      withTenant(db, ours.tenantId, (transaction) =>
        transaction.updateTable("skus").set({ tenant_id: theirs.tenantId }).execute(),
      ),
    ).rejects.toThrow(/row-level security/);
    const changed = await withTenant(db, ours.tenantId, (transaction) =>
      transaction
        .updateTable("skus")
        .set({ name: "taken over" })
        .where("tenant_id", "=", theirs.tenantId)
        .execute(),
    );
    expect(changed[0]?.numUpdatedRows).toBe(0n);
  });

  test("is not left open by a pooled connection that has been in another tenant", async () => {
    const narrow = openDatabase({ url: database.url, role: "cf_app", poolSize: 1 });
    try {
      await withTenant(narrow, ours.tenantId, (transaction) =>
        transaction.selectFrom("skus").selectAll().execute(),
      );
      expect(await narrow.selectFrom("skus").selectAll().execute()).toEqual([]);
    } finally {
      await narrow.destroy();
    }
  });

  test("cannot be stepped over by a process: a superuser's login is refused with what to do", async () => {
    const privileged = openDatabase({ url: database.superuserUrl, role: "cf_app", poolSize: 1 });
    try {
      await expect(refusePrivilegedLogin(privileged)).rejects.toThrow(/superuser.*db migrate/s);
      await expect(refusePrivilegedLogin(db)).resolves.toBeUndefined();
    } finally {
      await privileged.destroy();
    }
  });

  test("lets those who only take deliveries in see no order, and the report write nothing", async () => {
    const ingest = database.open("cf_ingest");
    const report = database.open("cf_report");
    await expect(ingest.selectFrom("orders").selectAll().execute()).rejects.toThrow(/permission denied/);
    await expect(report.deleteFrom("orders").execute()).rejects.toThrow(/permission denied/);
    const sellers = await report.selectFrom("skus").select("tenant_id").distinct().execute();
    expect(sellers).toHaveLength(2);
  });
});

test("the types that the code sees are those of the migrated schema", async () => {
  await expect(
    promisify(execFile)("node_modules/.bin/kysely-codegen", ["--url", database.migrationUrl, "--verify"]),
  ).resolves.toBeDefined();
});

describe("a snapshot", () => {
  const nameOfShop = async (transaction: Parameters<Parameters<typeof withTenant>[2]>[0]) =>
    (await transaction.selectFrom("shops").select("name").executeTakeFirstOrThrow()).name;

  test("sees everything as it was at one moment, whatever is written meanwhile", async () => {
    await withTenantSnapshot(db, ours.tenantId, async (transaction) => {
      const before = await nameOfShop(transaction);
      await withTenant(db, ours.tenantId, (other) =>
        other.updateTable("shops").set({ name: "Renamed" }).execute(),
      );
      expect(await nameOfShop(transaction)).toBe(before);
    });
    expect(await withTenant(db, ours.tenantId, nameOfShop)).toBe("Renamed");
  });

  test("is behind the same wall, and writes nothing", async () => {
    await withTenantSnapshot(db, theirs.tenantId, async (transaction) => {
      const shops = await transaction.selectFrom("shops").select("tenant_id").execute();
      expect(shops.map((shop) => shop.tenant_id)).toEqual([theirs.tenantId]);
    });
    const writing = withTenantSnapshot(db, ours.tenantId, (transaction) =>
      transaction.updateTable("shops").set({ name: "No" }).execute(),
    );
    await expect(writing).rejects.toThrow(/read-only transaction/);
  });
});

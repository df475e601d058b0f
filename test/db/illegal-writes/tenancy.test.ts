import { describe, expect, test } from "vitest";
import { onSeededTables } from "./seeded-tables.ts";

onSeededTables((tables) => {
  describe("another seller's rows", () => {
    test("are out of reach in every table, for the app and for the dispatcher inside a seller", async () => {
      const withTenants = await tables().database.asSuperuser<{ name: string }>(
        `select class.relname as name from pg_class class
       join pg_attribute attribute on attribute.attrelid = class.oid and attribute.attname = 'tenant_id'
       where class.relkind in ('r', 'p') and class.relnamespace = 'public'::regnamespace and not class.relispartition`,
      );
      expect(withTenants.length).toBeGreaterThan(25);
      for (const { name } of withTenants) {
        await tables().expectRefused("app", `insert into ${name} (tenant_id) values (:theirTenant)`, name);
        const rows = await tables().askAsApp(
          `select count(*)::integer as rows from ${name} where tenant_id = :theirTenant`,
        );
        expect(rows, name).toEqual([{ rows: 0 }]);
      }
    });

    test("are out of reach of every foreign key: each between sellers' tables carries the seller", async () => {
      const keys = await tables().database.asSuperuser<{ name: string }>(
        `select key.conrelid::regclass || ' ' || key.conname as name from pg_constraint key
       join pg_attribute ours on ours.attrelid = key.conrelid and ours.attname = 'tenant_id'
       join pg_attribute theirs on theirs.attrelid = key.confrelid and theirs.attname = 'tenant_id'
       where key.contype = 'f' and not ours.attnum = any (key.conkey)`,
      );
      expect(keys).toEqual([]);
    });
  });
});

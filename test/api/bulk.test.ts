import { randomUUID } from "node:crypto";
import { parse } from "csv-parse/sync";
import type { LightMyRequestResponse } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SkuId } from "../../src/domain/ids.ts";
import { bundleWorkflows } from "../../src/workers.ts";
import { bulkWorkflowId, taskQueues } from "../../src/workflows/addressing.ts";
import { findReplayFailures, historiesOf, recordWhenAsked } from "../support/histories.ts";
import { type AdjustingBed, addPeople, type People, startAdjustingBed } from "./adjusting-bed.ts";

let adjusting: AdjustingBed;
let people: People;

beforeAll(async () => {
  adjusting = await startAdjustingBed();
  people = await addPeople(adjusting.bed);
});
afterAll(async () => {
  await recordWhenAsked(await historiesOf(adjusting.temporal));
  await adjusting.close();
});

async function addSkus(count: number, prefix = randomUUID().slice(0, 6)) {
  const skus: { readonly code: string; readonly id: SkuId }[] = [];
  for (let index = 0; index < count; index += 1) {
    const code = `${prefix}-${index}`;
    skus.push({ code, id: await adjusting.bed.addSku(people.seller, { code, quantity: 10 }) });
  }
  return skus;
}

const bulkIdOf = (answer: LightMyRequestResponse) => answer.json<{ bulk_id: string }>().bulk_id;

describe("a batch", () => {
  test("gives each item its own result, is applied once, and answers the same when it is sent again", async () => {
    const [first, second] = await addSkus(2);
    const items = [
      { sku: first!.code, quantity: 5, reason: "delivery" },
      { product_id: second!.id, quantity: -11, reason: "broken" },
      { sku: "nobody's", quantity: 1, reason: "delivery" },
      { sku: first!.code, quantity: 200, reason: "a pallet", location_id: people.seller.locationId },
      { product_id: second!.id, quantity: -3, reason: "broken" },
    ];
    const key = randomUUID();
    const ask = () => adjusting.ask("POST", "/api/inventory/batch", people.admin, { items }, key);
    const answer = await ask();
    expect(answer.statusCode, answer.body).toBe(200);
    expect(answer.json()).toMatchObject({
      ...{ state: "finished", rows: 5, applied: 3, refused: 2, waiting: 0 },
      items: [
        { row: 1, result: "applied", on_hand: 215 },
        {
          row: 2,
          result: "refused",
          problem: "below_zero",
          detail: expect.stringContaining("not that many"),
        },
        { row: 3, result: "refused", problem: "unknown_sku" },
        { row: 4, result: "applied", on_hand: 215 },
        { row: 5, result: "applied", on_hand: 7 },
      ],
    });
    expect((await ask()).json()).toEqual(answer.json());
    expect(await adjusting.stockOf(first!.id)).toEqual({ on_hand: 215, movements: 2 });
    expect(await adjusting.stockOf(second!.id)).toEqual({ on_hand: 7, movements: 1 });
  });

  test.each([
    [{ items: [] }],
    [{ items: Array.from({ length: 1_001 }, () => ({ sku: "x", quantity: 1, reason: "x" })) }],
    [{ items: [{ quantity: 1, reason: "names no SKU" }] }],
    [{ items: [{ sku: "x", product_id: randomUUID(), quantity: 1, reason: "names two" }] }],
    [{ items: [{ sku: "x", quantity: 0, reason: "nothing" }] }],
  ])("that makes no sense is refused as a whole", async (body) => {
    expect((await adjusting.ask("POST", "/api/inventory/batch", people.admin, body)).statusCode).toBe(400);
  });

  test("is no creator's to make", async () => {
    const body = { items: [{ sku: "x", quantity: 1, reason: "x" }] };
    expect((await adjusting.ask("POST", "/api/inventory/batch", people.creator, body)).statusCode).toBe(403);
  });
});

describe("an import", () => {
  test("applies what is right, reports what is wrong with its line and what to do, and is applied once", async () => {
    const [first, second, third] = await addSkus(3);
    await adjusting.ask("PUT", `/api/inventory/products/${third!.id}/barcode`, people.admin, {
      barcode: `4006-${third!.code}`,
    });
    const text = [
      "\uFEFFSKU,barcode,location,mode,quantity,reason",
      `${first!.code},,,,5,"delivery, first half"`,
      `${first!.code},,Main warehouse,delta,-2,broken`,
      `${second!.code},,,count,40,counted`,
      `,4006-${third!.code},,delta,1,found`,
      "nobody's,,,,1,delivery",
      `${first!.code},,,,many,delivery`,
      `${first!.code},,,,10001,delivery`,
      `${first!.code},,,,1,`,
      `${first!.code},,,,1,delivery,one too many`,
      `${first!.code},,Nowhere,,1,delivery`,
      `${first!.code},,,guess,1,delivery`,
      `${first!.code},,,,-100,"not that many"`,
      `${third!.code},,,count,1,counted`,
      `${third!.code},,Main warehouse,count,2,counted again`,
      `${first!.code},4006-${third!.code},,,1,whose?`,
    ].join("\r\n");
    const key = randomUUID();
    const accepted = await adjusting.importCsv(people.admin, text, { key });
    expect(accepted.statusCode, accepted.body).toBe(202);
    const bulkId = bulkIdOf(accepted);
    expect(await adjusting.finished(people.admin, bulkId)).toMatchObject({
      ...{ rows: 15, applied: 4, refused: 11, waiting: 0, dry_run: false },
    });
    const refused = await adjusting.refused(people.admin, bulkId);
    expect(refused.map(({ line, problem }) => [line, problem])).toEqual([
      [6, "unknown_sku"],
      [7, "not_a_number"],
      [8, "out_of_range"],
      [9, "no_reason"],
      [10, "wrong_columns"],
      [11, "unknown_location"],
      [12, "unknown_mode"],
      [13, "below_zero"],
      [14, "counted_twice"],
      [15, "counted_twice"],
      [16, "sku_is_another"],
    ]);
    expect(refused.every(({ detail }) => (detail ?? "").length > 20)).toBe(true);
    const stock = async () => [
      await adjusting.stockOf(first!.id),
      await adjusting.stockOf(second!.id),
      await adjusting.stockOf(third!.id),
    ];
    const after = await stock();
    expect(after.map(({ on_hand }) => on_hand)).toEqual([13, 40, 11]);

    expect(bulkIdOf(await adjusting.importCsv(people.admin, text, { key }))).toBe(bulkId);
    expect((await adjusting.importCsv(people.admin, `${text}\r\n`, { key })).statusCode).toBe(422);
    await adjusting.finished(people.admin, bulkId);
    expect(await stock()).toEqual(after);
    const { rows: staged } = await adjusting.bed.superuser.query(
      "select 1 from bulk_operations where tenant_id = $1 and state = 'staging'",
      [people.seller.tenantId],
    );
    expect(staged).toEqual([]);
  });

  test("that is only tried tells what each row would come to and changes nothing", async () => {
    const [first] = await addSkus(1);
    const text = `sku,quantity,reason\n${first!.code},-6,sold\n${first!.code},-6,sold\n${first!.code},3,found\n`;
    const bulkId = bulkIdOf(await adjusting.importCsv(people.admin, text, { dryRun: true }));
    expect(await adjusting.finished(people.admin, bulkId)).toMatchObject({
      dry_run: true,
      applied: 2,
      refused: 1,
    });
    expect(await adjusting.refused(people.admin, bulkId)).toMatchObject([{ line: 3, problem: "below_zero" }]);
    expect(await adjusting.stockOf(first!.id)).toEqual({ on_hand: 10, movements: 0 });
    const real = bulkIdOf(await adjusting.importCsv(people.admin, text));
    await adjusting.finished(people.admin, real);
    expect(await adjusting.stockOf(first!.id)).toEqual({ on_hand: 7, movements: 2 });
  });

  test.each([
    ["nothing", ""],
    ["no rows", "sku,quantity,reason\n"],
    ["a column that nobody knows", "sku,quantity,reason,colour\nx,1,x,red\n"],
    ["no quantity", "sku,reason\nx,x\n"],
    ["no SKU", "quantity,reason\n1,x\n"],
    ["a column twice", "sku,sku,quantity,reason\nx,x,1,x\n"],
    ["a quote that is never closed", 'sku,quantity,reason\nx,1,"open\n'],
  ])("of %s is refused as a whole with words", async (_what, text) => {
    const answer = await adjusting.importCsv(people.admin, text);
    expect(answer.statusCode, answer.body).toBe(400);
    expect(answer.json<{ detail: string }>().detail.length).toBeGreaterThan(20);
  });

  test("of more than 50,000 rows, or of more than 20 MB, is refused at the limit and leaves nothing behind", async () => {
    const rows = `sku,quantity,reason\n${"x,1,x\n".repeat(50_001)}`;
    const bytes = `sku,quantity,reason\n${`x,1,${"long ".repeat(2_000)}\n`.repeat(2_100)}`;
    for (const text of [rows, bytes]) {
      const answer = await adjusting.importCsv(people.admin, text);
      expect(answer.statusCode, answer.body).toBe(413);
    }
    const { rows: left } = await adjusting.bed.superuser.query(
      "select 1 from bulk_items join bulk_operations as operation on id = bulk_id where operation.state = 'staging'",
    );
    expect(left).toEqual([]);
  });

  test("of 50,000 rows is taken, and of counts that contradict each other none is applied", async () => {
    const skus = await addSkus(20);
    const rows = Array.from(
      { length: 50_000 },
      (_, row) => `${skus[row % skus.length]!.code},count,${row},counted\n`,
    );
    const answer = await adjusting.importCsv(people.admin, `sku,mode,quantity,reason\n${rows.join("")}`);
    expect(answer.statusCode, answer.body).toBe(202);
    expect(await adjusting.finished(people.admin, bulkIdOf(answer))).toMatchObject({
      applied: 0,
      refused: 50_000,
    });
    expect(await adjusting.stockOf(skus[0]!.id)).toMatchObject({ on_hand: 10 });
  });

  test("is no creator's to make, and is no JSON", async () => {
    expect((await adjusting.importCsv(people.creator, "sku,quantity,reason\nx,1,x\n")).statusCode).toBe(403);
    expect((await adjusting.ask("POST", "/api/inventory/import", people.admin, {})).statusCode).toBe(415);
  });

  test("of refused rows comes back as a file that can be mended, with no formula in it", async () => {
    const text = 'sku,quantity,reason\n=cmd|calc,1,"+1"\n';
    const bulkId = bulkIdOf(await adjusting.importCsv(people.admin, text));
    await adjusting.finished(people.admin, bulkId);
    const file = await adjusting.ask("GET", `/api/bulk/${bulkId}/refused`, people.admin);
    expect(file.headers["content-type"]).toContain("text/csv");
    const [head, row] = parse(file.body);
    expect(head).toEqual(
      ["line", "sku", "barcode", "location", "mode", "quantity", "reason"].concat("problem", "what_to_do"),
    );
    expect(row?.slice(0, 8)).toEqual(["2", "'=cmd|calc", "", "", "", "1", "'+1", "unknown_sku"]);
  });
});

test("an import of many pages goes on in a new run of its workflow", async () => {
  const [first] = await addSkus(1);
  const bulkId = randomUUID();
  const { tenantId, users } = people.seller;
  await adjusting.bed.superuser.query(
    `insert into bulk_operations (id, tenant_id, kind, dry_run, requested_by, state, effect_id, content_hash, row_count)
     values ($1, $2, 'import', false, $3, 'waiting', $4, sha256('x'), 1)`,
    [bulkId, tenantId, users.admin.id, randomUUID()],
  );
  await adjusting.bed.superuser.query(
    `insert into bulk_items (tenant_id, bulk_id, row_number, given, sku_id, mode, quantity, reason, state)
     values ($1, $2, 1, '{}', $3, 'delta', 5, 'found', 'waiting')`,
    [tenantId, bulkId, first!.id],
  );
  const queuePrefix = adjusting.temporal.taskQueuePrefix;
  await adjusting.temporal.client.workflow.execute("bulkOperation", {
    workflowId: bulkWorkflowId(bulkId),
    taskQueue: taskQueues(queuePrefix).orders,
    args: [{ tenantId, bulkId, queuePrefix, pagesOfRun: 1 }],
  });
  expect(await adjusting.stockOf(first!.id)).toEqual({ on_hand: 15, movements: 1 });
});

describe("an export", () => {
  test("holds every SKU at each location once, by name, over several pages, and can be filtered", async () => {
    const own = await addPeople(adjusting.bed);
    const { tenantId, locationId } = own.seller;
    await adjusting.bed.superuser.query(
      `with product as (insert into products (tenant_id, title) values ($1, 'P') returning id),
         sku as (insert into skus (tenant_id, product_id, code, name) select $1, product.id, 'E-' || n, 'Name ' || n
           from product, generate_series(1, 1200) as n returning id)
       insert into stock_levels (tenant_id, sku_id, location_id) select $1, id, $2 from sku`,
      [tenantId, locationId],
    );
    await adjusting.bed.addSku(own.seller, { code: "-1+1", name: '=HYPERLINK("x")', quantity: 7 });
    const answer = await adjusting.ask("GET", "/api/inventory/export", own.creator);
    expect(answer.headers["content-disposition"]).toContain("stock.csv");
    const lines = parse<Record<string, string>>(answer.body, { columns: true });
    expect(lines).toHaveLength(1_201);
    expect(new Set(lines.map(({ sku }) => sku)).size).toBe(1_201);
    expect(lines.find(({ on_hand }) => on_hand === "7")).toMatchObject({
      ...{ sku: "'-1+1", name: '\'=HYPERLINK("x")', location: "Main warehouse" },
      ...{ available: "7", status: "low_stock" },
    });
    const filtered = await adjusting.ask("GET", "/api/inventory/export?status=low_stock", own.creator);
    expect(parse(filtered.body).slice(1)).toHaveLength(1);
  });

  test("of a code that looks like a formula can be imported again", async () => {
    const skuId = await adjusting.bed.addSku(people.seller, { code: "=odd", quantity: 10 });
    const bulkId = bulkIdOf(await adjusting.importCsv(people.admin, "sku,quantity,reason\n'=odd,1,found\n"));
    expect(await adjusting.finished(people.admin, bulkId)).toMatchObject({ applied: 1 });
    expect(await adjusting.stockOf(skuId)).toMatchObject({ on_hand: 11 });
  });
});

test("every history of this file replays", async () => {
  const histories = await historiesOf(adjusting.temporal);
  expect(histories.some(({ path }) => path.startsWith("bulkOperation"))).toBe(true);
  expect(await findReplayFailures(await bundleWorkflows(), histories)).toEqual([]);
});

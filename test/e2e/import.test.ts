import { expect, onTestFinished, test } from "vitest";
import type { z } from "zod";
import { bulkItemsPage, bulkOperation, importAnswer } from "../../src/api/contract/bulk.ts";
import { sessionSchema } from "../../src/api/contract/auth.ts";
import { type ChaosStack, skusOf, startChaosStack } from "../chaos/stack.ts";
import { until } from "../support/until.ts";

/** A file goes through processes that die: what is wrong is told, and the rest is applied once. */
const full = process.env["CREATORFLOW_TEST_FULL"] === "yes";
const rowCount = full ? 10_000 : 1_500;
const badRows = 37;
const stockEach = 60;

/** Ways in which a row is bad, and what is said of it; the last one only the stock knows. */
const waysToBeBad = [
  [(code: string) => `unknown-${code},1,delivery`, "unknown_sku"],
  [(code: string) => `${code},many,delivery`, "not_a_number"],
  [(code: string) => `${code},10001,delivery`, "out_of_range"],
  [(code: string) => `${code},0,delivery`, "out_of_range"],
  [(code: string) => `${code},1, `, "no_reason"],
  [(code: string) => `${code},1,delivery,one cell too many`, "wrong_columns"],
  [(code: string) => `,1,delivery of ${code}`, "no_sku"],
  [(code: string) => `${code},-10000,more than there ever were`, "below_zero"],
] as const;

interface MadeFile {
  readonly text: string;
  /** Line and problem of each bad row, by line. */
  readonly bad: readonly (readonly [line: number, problem: string])[];
  readonly unitsOf: ReadonlyMap<string, number>;
}

function makeFile(codes: readonly string[]): MadeFile {
  const bad: (readonly [number, string])[] = [];
  const unitsOf = new Map<string, number>();
  const lines = ["sku,quantity,reason"];
  const every = Math.floor(rowCount / badRows);
  for (let row = 0; row < rowCount; row += 1) {
    const code = codes[row % codes.length] ?? "";
    const isBad = row % every === every - 1 && bad.length < badRows;
    if (isBad) {
      const [make, problem] = waysToBeBad[bad.length % waysToBeBad.length] ?? waysToBeBad[0];
      bad.push([row + 2, problem]);
      lines.push(make(code));
    } else {
      const units = 1 + (row % 3);
      unitsOf.set(code, (unitsOf.get(code) ?? 0) + units);
      lines.push(`${code},${units},"delivery, row ${row}"`);
    }
  }
  return { text: `${lines.join("\n")}\n`, bad, unitsOf };
}

test(`an import of ${rowCount} rows with ${badRows} bad, sent twice, whose worker is killed in the middle: ${badRows} are told with the reason, the rest is applied once`, async () => {
  const stack = await startChaosStack({ timeScale: 720, stockEach });
  onTestFinished(() => stack.close());
  const file = makeFile((await skusOf(stack)).map(({ sellerSku }) => sellerSku));
  expect(file.bad).toHaveLength(badRows);
  const ask = await signIn(stack);
  await stack.restart("worker", "bulk: stock answered, results not recorded");

  const began = performance.now();
  const { bulk_id: id } = await sendFile(ask, file.text);
  await until("the worker dies in the middle", () => !stack.parts.worker.isRunning(), { seconds: 120 });
  expect((await stack.parts.worker.lastWords()).lines.at(-1)).toContain("bulk: stock answered");
  const [halfWay] = await appliedBy(stack, id);
  expect(halfWay?.rows).toBeGreaterThan(0);
  expect((await progressOf(ask, id)).waiting).toBeGreaterThan(0);
  await stack.restart("worker", null);
  const done = await finished(ask, id);
  console.log(`${rowCount} rows, with a death: ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  expect(done).toMatchObject({ rows: rowCount, applied: rowCount - badRows, refused: badRows });

  const { items } = bulkItemsPage.parse(await ask("GET", `/api/bulk/${id}/items?result=refused&limit=200`));
  expect(items.map(({ line, problem }) => [line, problem])).toEqual(file.bad);
  expect(items.every(({ detail }) => (detail ?? "").length > 0)).toBe(true);

  const expectOnce = async (): Promise<void> => {
    expect(await appliedBy(stack, id)).toEqual([
      { rows: rowCount - badRows, operations: rowCount - badRows },
    ]);
    expect(await unitsBy(stack, id)).toEqual(new Map([...file.unitsOf].sort()));
  };
  await expectOnce();
  expect(await sendFile(ask, file.text)).toMatchObject({ bulk_id: id });
  await finished(ask, id);
  await expectOnce();
  const [{ count } = { count: -1 }] = await stack.sql<{ count: number }>(
    "select count(*)::integer from inventory_transactions where kind = 'adjust' and reference_type = 'adjustment'",
  );
  expect(count).toBe(rowCount - badRows);
}, 600_000);

type Ask = (method: "GET" | "POST", route: string, csv?: string) => Promise<unknown>;

async function signIn({ apiUrl, password }: ChaosStack): Promise<Ask> {
  const answer = await fetch(`${apiUrl}/api/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: "admin@demo.local", password }),
  });
  const { access_token: token } = sessionSchema.parse(await answer.json());
  return async (method, route, csv) => {
    const response = await fetch(`${apiUrl}${route}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        "idempotency-key": "the-same-file",
        ...(csv === undefined ? {} : { "content-type": "text/csv" }),
      },
      ...(csv === undefined ? {} : { body: csv }),
    });
    const body: unknown = await response.json();
    if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${JSON.stringify(body)}`);
    return body;
  };
}

async function sendFile(ask: Ask, text: string) {
  return importAnswer.parse(await ask("POST", "/api/inventory/import?dry_run=false", text));
}

async function progressOf(ask: Ask, id: string): Promise<z.output<typeof bulkOperation>> {
  return bulkOperation.parse(await ask("GET", `/api/bulk/${id}`));
}

/** Asked once a second, since one person may ask 100 times a minute. */
async function finished(ask: Ask, id: string): Promise<z.output<typeof bulkOperation>> {
  let lookedAt = Number.NEGATIVE_INFINITY;
  return await until(
    "every row has its result",
    async () => {
      if (performance.now() - lookedAt < 1_000) return null;
      lookedAt = performance.now();
      const now = await progressOf(ask, id);
      return now.state === "finished" ? now : null;
    },
    { seconds: 300 },
  );
}

async function appliedBy(stack: ChaosStack, id: string) {
  return await stack.sql<{ rows: number; operations: number }>(
    `select count(*)::integer as rows, count(distinct operation_id)::integer as operations
     from inventory_transactions where starts_with(operation_id, $1)`,
    [`adjust/${id}:`],
  );
}

async function unitsBy(stack: ChaosStack, id: string): Promise<ReadonlyMap<string, number>> {
  const rows = await stack.sql<{ code: string; units: number }>(
    `select sku.code, sum(line.on_hand_effect)::integer as units
     from inventory_transactions as line join skus as sku on sku.id = line.sku_id
     where starts_with(line.operation_id, $1) group by sku.code order by sku.code collate "C"`,
    [`adjust/${id}:`],
  );
  return new Map(rows.map(({ code, units }) => [code, units]));
}

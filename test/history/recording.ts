import { type ChildProcess, fork } from "node:child_process";
import path from "node:path";
import type { z } from "zod";
import { transactionsPage } from "../../src/api/contract/inventory.ts";
import type { ChaosStack } from "../chaos/stack.ts";
import type { Random } from "../support/random.ts";
import { createApiClient } from "./api-client.ts";
import type { History, Movement, Operation } from "./checker.ts";
import type { ClientSettings, Recorded, ToClient } from "./client-process.ts";

/** Clients that are processes, what they have been told, and the ledger of each SKU that they asked about. */
export interface Recording {
  /** Lets them end when each has done its part; resolves when all have. */
  end(): Promise<readonly Recorded[]>;
  kill(): void;
}

const processFile = path.join(import.meta.dirname, "client-process.ts");
const pageSize = 200;

export async function startClients(
  stack: Pick<ChaosStack, "sql" | "apiUrls" | "password">,
  options: {
    readonly clients: number;
    readonly operationsEach: number;
    readonly skuIds: readonly string[];
    /** For the clients' seeds. */
    readonly random: Random;
  },
): Promise<Recording> {
  const { clients, operationsEach, skuIds, random } = options;
  await addPeople(stack, clients);
  const recorded: Recorded[] = [];
  const running: ChildProcess[] = [];
  const begin = (number: number): Promise<void> => {
    const settings: ClientSettings = {
      name: `client-${number}`,
      number,
      apiUrls: stack.apiUrls,
      email: emailOf(number),
      password: stack.password,
      skuIds,
      operations: operationsEach,
      seed: random.whole(1, 2 ** 31),
    };
    const child = fork(processFile, [JSON.stringify(settings)], { execArgv: ["--import", "tsx"] });
    running.push(child);
    let isOver = false;
    child.on("message", (message: Recorded | "over") => {
      if (message === "over") isOver = true;
      else {
        recorded.push(message);
        tellOfHold(message);
      }
    });
    return new Promise((resolve, reject) => {
      child.once("exit", (code, signal) => {
        if (isOver) resolve();
        else
          reject(
            new Error(`${settings.name} ended by itself: ${signal ?? `exit code ${code ?? "unknown"}`}`),
          );
      });
    });
  };
  /** Of every other hold somebody else hears while its maker goes on: both may end it. */
  const tellOfHold = ({ skuId, operation: { key }, holdId }: Recorded): void => {
    const other = running[recorded.length % (2 * running.length)];
    if (holdId !== null && other !== undefined) tell(other, { hold: { skuId, key, holdId } });
  };
  const all = Promise.all(Array.from({ length: clients }, (_, index) => begin(index + 1)));
  // Looked at when they end; until then a failure must not count as unhandled.
  all.catch(() => undefined);
  return {
    async end() {
      for (const child of running) tell(child, { end: true });
      await all;
      return recorded;
    },
    kill() {
      for (const child of running) child.kill("SIGKILL");
    },
  };
}

function tell(child: ChildProcess, message: ToClient): void {
  if (child.connected) child.send(message, () => undefined);
}

function emailOf(number: number): string {
  return `client-${number}@demo.local`;
}

/** One person may ask so often a minute, so each client is one. */
async function addPeople({ sql }: Pick<ChaosStack, "sql">, people: number): Promise<void> {
  for (let number = 1; number <= people; number += 1) {
    await sql(
      `insert into users (tenant_id, email, name, role, password_hash)
       select tenant_id, $1, $1, role, password_hash from users where email = 'admin@demo.local'`,
      [emailOf(number)],
    );
  }
}

/** What was recorded of one SKU, with the ledger as the API tells it; which movements were one transaction, PostgreSQL knows. */
export async function readHistory(
  stack: Pick<ChaosStack, "sql" | "apiUrls" | "password">,
  skuId: string,
  recorded: readonly Recorded[],
): Promise<History> {
  const api = createApiClient({ ...stack, email: "admin@demo.local", firstApi: 0 });
  const batches = new Map(
    (
      await stack.sql<{ sequence: number; batch: string }>(
        "select sequence::integer, xmin::text as batch from inventory_transactions where sku_id = $1",
        [skuId],
      )
    ).map(({ sequence, batch }) => [sequence, batch]),
  );
  const ours = recorded.filter((each) => each.skuId === skuId);
  const keyOfHold = new Map(ours.map(({ holdId, operation }) => [holdId, operation.key]));
  const ledger: Movement[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const after: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const page: Page = await api.get(
      `/api/inventory/products/${skuId}/transactions?limit=${pageSize}${after}`,
      transactionsPage,
    );
    ledger.push(
      ...page.transactions.map(
        (line): Movement => ({
          sequence: line.sequence,
          kind: line.kind,
          onHandEffect: line.on_hand_effect,
          reservedEffect: line.reserved_effect,
          onHandBefore: line.previous_stock,
          onHandAfter: line.new_stock,
          reservedBefore: line.previous_reserved,
          reservedAfter: line.new_reserved,
          batch: batches.get(line.sequence) ?? "unknown",
          cause: causeOf(line, keyOfHold),
        }),
      ),
    );
    cursor = page.next_cursor;
  }
  const [largest] = await stack.sql<{ quantity: number }>(
    `select coalesce(max(quantity), 0)::integer as quantity from (
       select quantity from reservations where sku_id = $1 and expires_at is null
       union all select quantity from shortages where sku_id = $1) as of_orders`,
    [skuId],
  );
  const operations: readonly Operation[] = ours.map(({ operation }) => operation);
  return { operations, ledger: ledger.toReversed(), largestOrderLine: largest?.quantity ?? 0 };
}

type Page = z.output<typeof transactionsPage>;
type Line = Page["transactions"][number];

function causeOf(line: Line, keyOfHold: ReadonlyMap<string | null, string>): Movement["cause"] {
  switch (line.reference_type) {
    case "opening":
      return { by: "opening" };
    case "order_line":
      return { by: "order", line: line.reference_id };
    case "hold": {
      if (line.kind === "reserve") return { by: "operation", key: line.reason };
      // hold/<id>/1
      const holdId = line.reference_id.split("/")[1] ?? "";
      return { by: "release", hold: keyOfHold.get(holdId) ?? holdId };
    }
    default:
      return { by: "operation", key: line.reason };
  }
}

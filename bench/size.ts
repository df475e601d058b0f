import { randomBytes, randomUUID } from "node:crypto";
import http from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { createActivities } from "../src/activities/index.ts";
import { createStockActivities } from "../src/activities/stock.ts";
import { AccessTokens } from "../src/api/auth/access-tokens.ts";
import { writeCursor } from "../src/api/cursor.ts";
import { type Database, openDatabase } from "../src/db/connection.ts";
import { withTenant } from "../src/db/tenant.ts";
import { createUser } from "../src/db/users.ts";
import type { SkuId } from "../src/domain/ids.ts";
import type { StockAnswer, StockOperation } from "../src/domain/stock/operation.ts";
import { findFreePort } from "../src/embedded/ports.ts";
import { type RunningProcess, startOwn } from "../src/embedded/processes.ts";
import { proofStatementMilliseconds, prove } from "../src/proof/proof.ts";
import { type Random, randomFrom } from "../test/support/random.ts";
import { until } from "../test/support/until.ts";
import type { Benchmark } from "./benchmark.ts";
import { repeated } from "./harness.ts";
import { buildInstallation, type Installation, sealAll } from "./installation.ts";
import { openMemoryChannel } from "./memory-channel.ts";
import { compareTo, type Figure, quantileOf } from "./report.ts";
import { type BenchServers, onServers, workerDependencies, workerPoolSize } from "./servers.ts";
import { reservationOf } from "./stock.ts";

/**
 * An installation of 50,000 SKUs with a ledger of a million rows: how long people wait for what they look at, at a steady 50
 * requests a second; how long it takes to write 100,000 movements more, entering where an order's do; and how long the
 * proof takes over all of it, which must be clean.
 */
export const size: Benchmark = {
  name: "size",
  title: "an installation of 50,000 SKUs and a million movements",
  async run({ runs, short }) {
    return await onServers(async (servers) => {
      const load = short
        ? { skus: 500, movements: 10_000, seconds: 5, written: 1_500, writtenSkus: 20, inFlight: 100 }
        : {
            skus: 50_000,
            movements: 1_000_000,
            seconds: 90,
            written: 99_999,
            writtenSkus: 500,
            inFlight: 2_000,
          };
      const db = servers.openDatabase("cf_app", workerPoolSize);
      const installation = await buildInstallation(servers, db, load);
      // The entities of one run serve the next: they wait on the queues of the Workers that they were started with.
      const bed: Bed = { servers, db, installation, queuePrefix: `size-${randomUUID()}-` };
      const found = await repeated(runs, async () => [
        ...(await measureReads(bed, load.seconds)),
        ...(await measureWrites(bed, load)),
        ...(await measureProof(bed)),
      ]);
      return {
        settings: {
          ...installation.rows,
          "requests a second, open loop": requestsPerSecond,
          "movements written by each run": load.written,
          "SKUs written to": load.writtenSkus,
        },
        runs: found,
        compare: (median) => [
          ...Object.keys(readsOf(installation, [])).map((kind) =>
            compareTo(`${kind}, p95`, median(`${kind}, p95`), "ms", "at most", 100),
          ),
          compareTo("writing", median("writing"), "s", "at most", 300),
          compareTo("the proof", median("the proof"), "s", "at most", 60),
        ],
      };
    });
  },
};

const requestsPerSecond = 50;

interface Bed {
  readonly servers: BenchServers;
  readonly db: Database;
  readonly installation: Installation;
  readonly queuePrefix: string;
}

interface NamedSku {
  readonly id: string;
  readonly code: string;
  readonly sort_name: string;
}

/** What people ask, each time of another SKU or page; `names` are all SKUs in the list's order. */
function readsOf(
  { skuIds, hotSkus }: Installation,
  names: readonly NamedSku[],
): Readonly<Record<string, (random: Random) => string>> {
  const products = "/api/inventory/products";
  const late = names.slice(names.length / 2);
  const pages = Math.max(1, Math.floor(names.length / 50));
  return {
    "first page": () => products,
    "page by cursor": (random) => {
      const { sort_name: sortName, id } = random.pick(late);
      return `${products}?limit=50&cursor=${writeCursor([sortName, id])}`;
    },
    "page by number": (random) => `${products}?limit=50&page=${random.whole(1, pages)}`,
    "search by text": (random) =>
      `${products}?search=${encodeURIComponent(random.pick(["tote bag", "LINEN", "hoodie green", "scarf blue 1"]))}`,
    "search by code": (random) => `${products}?search=${random.pick(names).code}`,
    "in stock": () => `${products}?status=in_stock`,
    "low stock": () => `${products}?status=low_stock`,
    "out of stock": () => `${products}?status=out_of_stock`,
    SKU: (random) => `${products}/${random.pick(skuIds)}`,
    transactions: (random) => `${products}/${random.pick(skuIds)}/transactions`,
    "transactions, hot": (random) =>
      `${products}/${random.pick(hotSkus)}/transactions?limit=100&cursor=${writeCursor([random.whole(1, 10_000)])}`,
    explain: (random) => `${products}/${random.pick(skuIds)}/explain`,
    "explain, hot": (random) => `${products}/${random.pick(hotSkus)}/explain`,
  };
}

/** Each request is due at its moment, however long the ones before it take. */
async function measureReads(bed: Bed, seconds: number): Promise<Figure[]> {
  const { tenantId } = bed.installation.shop;
  const names = await bed.servers.query<NamedSku>(
    `select id, code, sort_name from skus where tenant_id = $1 order by sort_name, id`,
    [tenantId],
  );
  const kinds = Object.entries(readsOf(bed.installation, names));
  const api = await startApi(bed);
  try {
    const milliseconds = new Map(kinds.map(([kind]) => [kind, [] as number[]]));
    const random = randomFrom(1);
    const send = async (rounds: number, note: (kind: string, took: number) => void): Promise<void> => {
      const sending: Promise<void>[] = [];
      const began = performance.now();
      for (let index = 0; index < rounds; index += 1) {
        const [kind, pathOf] = random.pick(kinds);
        const due = began + (index * 1_000) / requestsPerSecond;
        const early = due - performance.now();
        if (early > 0) await pause(early);
        sending.push(api.get(pathOf(random)).then(() => note(kind, performance.now() - due)));
      }
      await Promise.all(sending);
    };
    // The first requests of a process pay for its compiler, and those of a connection for its plans.
    await send(Math.min(seconds, 20) * requestsPerSecond, () => undefined);
    await send(seconds * requestsPerSecond, (kind, took) => milliseconds.get(kind)?.push(took));
    return [...milliseconds].flatMap(([kind, times]) => [
      { name: `${kind}, p50`, unit: "ms", value: quantileOf(times, 0.5) },
      { name: `${kind}, p95`, unit: "ms", value: quantileOf(times, 0.95) },
      { name: `${kind}, p99`, unit: "ms", value: quantileOf(times, 0.99) },
    ]);
  } finally {
    await api.stop();
  }
}

async function startApi({ servers, db, installation: { shop } }: Bed) {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const secretKey = randomBytes(32);
  const { databaseUrl } = servers;
  // Keys that another run's secret has encrypted cannot be read with this one's.
  await servers.query("delete from signing_keys");
  const process: RunningProcess = startOwn("bench/open-api.ts", {
    name: "api",
    args: [JSON.stringify({ port, databaseUrl, secretKey: secretKey.toString("base64") })],
    graceSeconds: 5,
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 200 });
  const userId = await withTenant(db, shop.tenantId, (transaction) =>
    createUser(transaction, shop.tenantId, {
      email: `${randomUUID()}@seller.test`,
      name: "Looks at everything",
      role: "creator",
      passwordHash: "never signs in",
    }),
  );
  const tokens = new AccessTokens({ db, secretKey, issuer: url, now: () => new Date() });
  const session = { userId, tenantId: shop.tenantId, role: "creator", permissionVersion: 1 } as const;
  const headers = { authorization: `Bearer ${await tokens.issue(session)}` };
  const get = (path: string): Promise<void> =>
    new Promise((resolve, reject) => {
      http
        .get(url + path, { agent, headers }, (response) => {
          response.resume();
          response.once("end", () => {
            if (response.statusCode === 200) resolve();
            else reject(new Error(`${path} was answered ${response.statusCode ?? "nothing"}.`));
          });
        })
        .once("error", reject);
    });
  await until("the API answers", () => get("/api/inventory/products?limit=1").then(() => true), {
    seconds: 60,
  }).catch((error: unknown) => {
    throw new Error(`The API said: ${process.lastLines().join("\n")}`, { cause: error });
  });
  return {
    get,
    async stop() {
      agent.destroy();
      await process.stop();
    },
  };
}

/**
 * Three movements at a time: a unit comes in, is promised to an order and leaves with it. What this changes for the listings is
 * pushed to shops that answer at once.
 */
async function measureWrites(
  bed: Bed,
  load: { readonly written: number; readonly writtenSkus: number; readonly inFlight: number },
): Promise<Figure[]> {
  const { servers, db, installation, queuePrefix } = bed;
  const { tenantId } = installation.shop;
  const dependencies = workerDependencies(servers, db, queuePrefix, openMemoryChannel());
  const stock = createStockActivities(dependencies);
  const workers = await servers.startWorkers(createActivities(dependencies), queuePrefix);
  const ask = async (skuId: SkuId, operation: StockOperation, wanted: StockAnswer["outcome"]) => {
    const [answer] = await stock.requestStock({ tenantId, operations: [{ skuId, operation }] });
    if (answer?.outcome !== wanted) throw new Error(`Not ${wanted}: ${JSON.stringify(answer)}`);
  };
  const skus = skusToWrite(installation, load.writtenSkus);
  const random = randomFrom(1);
  const series = randomUUID();
  const before = await countMovements(servers);
  const lives = Math.floor(load.written / movementsOfLife);
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < lives) {
      const index = next++;
      // Every second one on a hot SKU.
      const skuId = random.pick(index % 2 === 0 ? skus.hot : skus.others);
      const reservation = reservationOf(series, index);
      await ask(skuId, delivery(`${series}/${index}`), "adjusted");
      await ask(skuId, reservation, "reserved");
      await ask(skuId, { kind: "ship", claim: reservation.claim, quantity: 1, outside: false }, "shipped");
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: load.inFlight }, caller));
  const seconds = (performance.now() - began) / 1_000;
  await workers.stop();
  const written = (await countMovements(servers)) - before;
  if (written !== lives * movementsOfLife) throw new Error(`${written} movements were written`);
  return [
    { name: "writing", unit: "s", value: seconds },
    { name: "movements", unit: "a second", value: written / seconds },
  ];
}

const movementsOfLife = 3;

/** Where nobody waits, since who waits would be served what comes in: hot ones, and others from the whole catalogue. */
function skusToWrite({ skuIds, hotSkus, soldOutSkus }: Installation, count: number) {
  const free = (skus: readonly SkuId[]) => skus.filter((skuId) => !soldOutSkus.has(skuId));
  const stride = Math.max(1, Math.floor(skuIds.length / count));
  return {
    hot: free(hotSkus),
    others: free(skuIds.filter((_, index) => index >= hotSkus.length && index % stride === 0)),
  };
}

function delivery(changeId: string): StockOperation {
  return { kind: "receive", changeId, quantity: 1, reason: "delivery", actorId: null, locationId: null };
}

async function countMovements(servers: BenchServers): Promise<number> {
  const [row] = await servers.query<{ count: string }>("select count(*) from inventory_transactions");
  return Number(row?.count);
}

async function measureProof({ servers, db, installation }: Bed): Promise<Figure[]> {
  await sealAll(db, installation.shop.tenantId);
  const report = openDatabase({
    url: servers.databaseUrl,
    role: "cf_report",
    poolSize: 1,
    statementTimeoutMilliseconds: proofStatementMilliseconds,
  });
  const began = performance.now();
  const proof = await prove({ db: report, simulatorUrl: null, settleSeconds: 0 });
  const seconds = (performance.now() - began) / 1_000;
  await report.destroy();
  const found = proof.checks.filter(({ violations }) => violations.length > 0);
  if (!proof.clean) throw new Error(`The proof found: ${JSON.stringify(found).slice(0, 2_000)}`);
  return [{ name: "the proof", unit: "s", value: seconds }];
}

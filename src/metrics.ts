import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { SystemFacts } from "./db/read-models/metrics.ts";

/** One process's figures in Prometheus' text format. Labels never name an order, a SKU or a person. */
export interface Metrics {
  readonly contentType: string;
  /** What Prometheus reads. Facts that cannot be had leave their figures out and set `creatorflow_facts_available` to 0. */
  render(): Promise<string>;
}

export interface ApiMetrics extends Metrics {
  /** @param route the route's pattern, never the address: that would be a label for each order. */
  requestAnswered(method: string, route: string, status: number, seconds: number): void;
}

export interface WorkerMetrics extends Metrics {
  /** @param seconds from the change of stock until the right number was read back. */
  pushConfirmed(seconds: number): void;
}

const pushBuckets = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300];
const requestBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Whoever scrapes, and however many do: the database is asked this seldom. */
const factsFreshMilliseconds = 15_000;

/**
 * The figures of an API process: its own requests, and the facts of the whole installation.
 *
 * @param readFacts asked at most every 15 seconds.
 */
export function createApiMetrics(readFacts: () => Promise<SystemFacts>): ApiMetrics {
  const registry = ownRegistry("api");
  const requests = new Histogram({
    name: "inventory_api_response_time_seconds",
    help: "Time to answer a request; webhooks and health are routes too",
    labelNames: ["method", "route", "status"],
    buckets: requestBuckets,
    registers: [registry],
  });
  const acknowledgements = new Counter({
    name: "inventory_webhook_acknowledgements_total",
    help: "Answers to webhooks: stored, refused (forged or unusable), failed (they come again)",
    labelNames: ["outcome"],
    registers: [registry],
  });
  for (const outcome of ["stored", "refused", "failed"]) acknowledgements.inc({ outcome }, 0);
  const facts = new FactGauges(registry, readFacts);
  return {
    contentType: registry.contentType,
    async render() {
      await facts.refresh();
      return await registry.metrics();
    },
    requestAnswered(method, route, status, seconds) {
      requests.observe({ method, route, status: String(status) }, seconds);
      if (!route.startsWith("/webhooks/")) return;
      acknowledgements.inc({ outcome: status < 300 ? "stored" : status < 500 ? "refused" : "failed" });
    },
  };
}

/**
 * The figures of a worker process: its own memory and event loop, how its activities end, how late its pushes were, and what
 * Temporal's own parts count.
 *
 * @param temporalUrl where the SDK's core tells its figures.
 */
export function createWorkerMetrics(temporalUrl: string): WorkerMetrics {
  const registry = ownRegistry("worker");
  const pushDelays = new Histogram({
    name: "creatorflow_push_delay_seconds",
    help: "From a change of stock (or a sale in another shop) to the right number read back at the channel",
    buckets: pushBuckets,
    registers: [registry],
  });
  return {
    contentType: registry.contentType,
    async render() {
      const own = await registry.metrics();
      const response = await fetch(temporalUrl, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
      return response?.ok === true ? `${own}\n${await response.text()}` : own;
    },
    pushConfirmed(seconds) {
      pushDelays.observe(seconds);
    },
  };
}

function ownRegistry(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Who may read: with a token its bearer; without one whoever calls from this machine and through no proxy. */
export function mayReadMetrics(
  token: string | null,
  { headers, peer }: { readonly headers: IncomingHttpHeaders; readonly peer: string | undefined },
): boolean {
  if (token === null) {
    const isForwarded = headers["x-forwarded-for"] !== undefined || headers.forwarded !== undefined;
    return !isForwarded && /^(?:::ffff:)?127\.|^::1$/.test(peer ?? "");
  }
  const given = Buffer.from(headers.authorization ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/**
 * Serves `GET /metrics` of a process that has no HTTP server of its own.
 *
 * @throws Error when the port is taken.
 */
export async function serveMetrics(
  metrics: Metrics,
  place: { readonly host: string; readonly port: number; readonly token: string | null },
): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    if (!mayReadMetrics(place.token, { headers: request.headers, peer: request.socket.remoteAddress })) {
      response.writeHead(401).end();
      return;
    }
    metrics.render().then(
      (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(place.port, place.host, resolve);
  });
  return server;
}

/** name, help, labels: what is set from the facts. */
const factGauges = {
  creatorflow_outbox_depth: ["Consequences of transactions that are still to be carried out", "kind"],
  creatorflow_outbox_age_seconds: ["Age of the oldest of them", "kind"],
  creatorflow_deliveries: ["Webhooks that wait to be worked off, or are parked for people", "state"],
  creatorflow_deliveries_age_seconds: [
    "How long the first of them is overdue, or since when it came",
    "state",
  ],
  creatorflow_orders_unhandled: ["Orders with stored news that their workflow has not taken in"],
  creatorflow_orders_unhandled_age_seconds: [
    "Age of the oldest of these news: the oldest unapplied operation",
  ],
  creatorflow_orders: ["Orders that are not closed", "state", "hold"],
  creatorflow_orders_past_ship_by: ["Orders that should have been shipped by now"],
  creatorflow_shortages: ["Lines that wait in a fair queue"],
  creatorflow_shortage_units: ["Units that they wait for"],
  creatorflow_shortages_age_seconds: ["Since when the first of them waits"],
  creatorflow_pushes_open: ["Numbers sent to a channel that it has not confirmed yet"],
  creatorflow_pushes_open_age_seconds: ["Age of the oldest of them"],
  creatorflow_drifts: ["Listings that show what nothing explains, by the probable cause", "cause"],
  creatorflow_viral_skus: ["SKUs that sell far faster than usual"],
  creatorflow_webhooks_rejected: ["Webhooks with a wrong signature in the last 15 minutes"],
  creatorflow_orders_recovered: ["Orders that the poll has found and no webhook brought, ever"],
  creatorflow_poll_age_seconds: ["Since the shop whose turn was longest ago was polled with success"],
  creatorflow_rate_budget_per_minute: ["Calls that the shop's budget allows", "shop"],
  creatorflow_rate_budget_tokens: ["Calls that could be made now", "shop"],
  creatorflow_rate_budget_blocked: ["1 while the channel has told the shop to wait", "shop"],
  creatorflow_circuit_breakers: ["Shops by the state of their circuit breaker", "state"],
  creatorflow_shops_without_authorisation: ["Shops that the channel no longer lets us act for"],
  creatorflow_alerts: ["Alerts that nobody has answered", "severity"],
  creatorflow_alert_messages: ["Messages about alerts that are still to be sent"],
  creatorflow_alert_messages_age_seconds: ["Age of the oldest of them"],
  creatorflow_proof_time_seconds: ["When the last proof ended, in Unix time"],
  creatorflow_proof_under_way: ["Differences that the last proof took for news on their way"],
  inventory_data_corruption: ["Violations that the last proof found"],
  inventory_sync_latency_seconds: [
    "From a change of stock (or a sale in another shop) to the right number read back at the channel, over 15 minutes",
    "quantile",
  ],
  inventory_sync_success_rate: ["Share of confirmed pushes among those that ended in the last 15 minutes"],
  inventory_sync_failure_rate: ["Share of refused pushes among those that ended in the last 15 minutes"],
  inventory_sync_coverage: ["Share of SKUs whose listings agree with the ledger"],
  inventory_webhook_processing_time_avg_seconds: [
    "From a webhook's arrival until it was worked off, over 15 minutes",
  ],
} as const satisfies Readonly<Record<string, readonly [help: string, ...labels: string[]]>>;

type FactGauge = keyof typeof factGauges;

class FactGauges {
  readonly #readFacts: () => Promise<SystemFacts>;
  readonly #gauges = new Map<FactGauge, Gauge>();
  readonly #plain: readonly Gauge[];
  readonly #available: Gauge;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;

  constructor(registry: Registry, readFacts: () => Promise<SystemFacts>) {
    this.#readFacts = readFacts;
    this.#available = new Gauge({
      name: "creatorflow_facts_available",
      help: "0 when the database could not be asked: the figures that come from it are missing",
      registers: [registry],
    });
    for (const [name, [help, ...labelNames]] of Object.entries(factGauges)) {
      this.#gauges.set(name as FactGauge, new Gauge({ name, help, labelNames, registers: [registry] }));
    }
    this.#plain = Object.entries(factGauges).flatMap(([name, { length }]) => {
      const gauge = this.#gauges.get(name as FactGauge);
      return length === 1 && gauge !== undefined ? [gauge] : [];
    });
  }

  async refresh(): Promise<void> {
    if (performance.now() - this.#readAt < factsFreshMilliseconds) return;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null;
    });
    await this.#reading;
  }

  async #read(): Promise<void> {
    for (const gauge of this.#gauges.values()) gauge.reset();
    // Reset, a gauge without labels stands at 0, which would be a lie.
    for (const gauge of this.#plain) gauge.remove();
    try {
      this.#show(await this.#readFacts());
      this.#available.set(1);
    } catch {
      this.#available.set(0);
    }
    // A failed reading too is not repeated at once: what could not be read in time is not to be asked again and again.
    this.#readAt = performance.now();
  }

  #set(name: FactGauge, value: number | null, labels: Readonly<Record<string, string>> = {}): void {
    if (value !== null) this.#gauges.get(name)?.set(labels, value);
  }

  #show(facts: SystemFacts): void {
    this.#showQueues(facts);
    this.#showChannel(facts);
    for (const { state, hold, count } of facts.orders)
      this.#set("creatorflow_orders", count, { state, hold });
    this.#set("creatorflow_orders_past_ship_by", facts.pastShipBy);
    for (const { severity, count } of facts.alerts) this.#set("creatorflow_alerts", count, { severity });
    this.#set("creatorflow_alert_messages", facts.alertMessages.depth);
    this.#set("creatorflow_alert_messages_age_seconds", facts.alertMessages.age);
    this.#set("inventory_sync_coverage", facts.skus === 0 ? 1 : facts.syncedSkus / facts.skus);
    if (facts.proof === null) return;
    this.#set("creatorflow_proof_time_seconds", facts.proof.finishedAt);
    this.#set("creatorflow_proof_under_way", facts.proof.underWay);
    this.#set("inventory_data_corruption", facts.proof.violations);
  }

  #showQueues({ outbox, deliveries, unhandled, shortages, ...facts }: SystemFacts): void {
    for (const { kind, depth, age } of outbox) {
      this.#set("creatorflow_outbox_depth", depth, { kind });
      this.#set("creatorflow_outbox_age_seconds", age, { kind });
    }
    for (const { state, depth, age } of deliveries) {
      this.#set("creatorflow_deliveries", depth, { state });
      this.#set("creatorflow_deliveries_age_seconds", age, { state });
    }
    this.#set("creatorflow_orders_unhandled", unhandled.depth);
    this.#set("creatorflow_orders_unhandled_age_seconds", unhandled.age);
    this.#set("creatorflow_shortages", shortages.depth);
    this.#set("creatorflow_shortage_units", shortages.units);
    this.#set("creatorflow_shortages_age_seconds", shortages.age);
    this.#set("creatorflow_webhooks_rejected", facts.rejectedWebhooks);
    this.#set("inventory_webhook_processing_time_avg_seconds", facts.webhooks.processingAverage);
    this.#set("creatorflow_orders_recovered", facts.recovered);
    this.#set("creatorflow_poll_age_seconds", facts.pollAge);
  }

  #showChannel({ pushes, openPushes, budgets, breakers, ...facts }: SystemFacts): void {
    this.#set("creatorflow_pushes_open", openPushes.depth);
    this.#set("creatorflow_pushes_open_age_seconds", openPushes.age);
    this.#set("inventory_sync_latency_seconds", pushes.delayMedian, { quantile: "0.5" });
    this.#set("inventory_sync_latency_seconds", pushes.delayP95, { quantile: "0.95" });
    this.#set("inventory_sync_latency_seconds", pushes.delayP99, { quantile: "0.99" });
    for (const { cause, count } of facts.drifts) this.#set("creatorflow_drifts", count, { cause });
    this.#set("creatorflow_viral_skus", facts.viralSkus);
    const ended = pushes.confirmed + pushes.refused;
    this.#set("inventory_sync_success_rate", ended === 0 ? 1 : pushes.confirmed / ended);
    this.#set("inventory_sync_failure_rate", ended === 0 ? 0 : pushes.refused / ended);
    for (const { shop, ratePerMinute, tokens, blocked } of budgets) {
      this.#set("creatorflow_rate_budget_per_minute", ratePerMinute, { shop });
      this.#set("creatorflow_rate_budget_tokens", tokens, { shop });
      this.#set("creatorflow_rate_budget_blocked", blocked ? 1 : 0, { shop });
    }
    this.#set("creatorflow_circuit_breakers", breakers.open, { state: "open" });
    this.#set("creatorflow_circuit_breakers", breakers.closed, { state: "closed" });
    this.#set("creatorflow_shops_without_authorisation", facts.shopsWithoutAuthorisation);
  }
}

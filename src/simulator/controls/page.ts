import type { FastifyInstance } from "fastify";
import { type Order, orderStatuses } from "../records.ts";
import type { Simulation } from "../simulation.ts";
import { sum } from "../stock.ts";

const refreshSeconds = 3;
const lastOrders = 20;

/** A page for people at `/`: what this server is and what goes on in its shop. */
export function registerPage(app: FastifyInstance, simulation: Simulation): void {
  app.get("/", (_request, reply) => reply.type("text/html; charset=utf-8").send(renderPage(simulation)));
}

function renderPage({ books }: Simulation): string {
  const orders = [...books.orders.all()];
  const { shopName, region, shopId } = books.account;
  const { timeScale, ordersPerMinute, webhookUrl } = books.settings;
  const counts = orderStatuses.map((status) => [
    status,
    String(orders.filter((order) => order.status === status).length),
  ]);
  const skus = [...books.skus.all()];
  const stock = [
    ["SKUs", String(skus.length)],
    ["Available units", String(skus.reduce((total, { cells }) => total + sum(cells, "available"), 0))],
    ["Committed units", String(skus.reduce((total, { cells }) => total + sum(cells, "committed"), 0))],
    ["Webhooks to be sent", String(books.pendingWebhooks.size)],
  ];
  const newest = orders.slice(-lastOrders).reverse();
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="${refreshSeconds}">
<title>TikTok Shop simulator: ${escape(shopName)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d1d1f; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
td, th { text-align: left; padding: 0.2rem 1rem 0.2rem 0; border-bottom: 1px solid #ddd; }
</style>
</head>
<body>
<h1>${escape(shopName)} (${escape(region)})</h1>
<p>This is a simulated TikTok Shop: it speaks TikTok Shop's API, invents buyers and keeps its own books. Shop
${escape(shopId)}, ${escape(String(ordersPerMinute))} orders a minute, time ${escape(String(timeScale))} times faster,
webhooks to ${escape(webhookUrl ?? "nobody")}.</p>
<h2>Orders by status</h2>
${table(["Status", "Orders"], counts)}
<h2>Stock</h2>
${table(["What", "Count"], stock)}
<h2>Last orders</h2>
${table(["Order", "Status", "Units", "Since"], newest.map(orderRow))}
<h2>Books</h2>
<p><a href="/_sim/ledger?section=orders">orders</a> · <a href="/_sim/ledger?section=stock">stock</a> ·
<a href="/_sim/ledger?section=webhooks">webhooks</a> · <a href="/_sim/ledger?section=calls">calls</a> ·
<a href="/_sim/catalog">catalogue</a></p>
</body>
</html>
`;
}

function orderRow(order: Order): string[] {
  const since = order.statusChanges.at(-1)?.atMilliseconds ?? 0;
  return [order.id, order.status, String(order.lines.length), new Date(since).toISOString()];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]) =>
    `<tr>${row.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join("")}</tr>`;
  return `<table>${cells("th", head)}${rows.map((row) => cells("td", row)).join("")}</table>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

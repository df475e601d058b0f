import type { Command } from "commander";
import {
  driftsPage,
  offerAnswer,
  pauseAnswer,
  pushDelayAnswer,
  repairAnswer,
  syncAnswer,
} from "../../api/contract/channel.ts";
import { pathPart } from "../client.ts";
import type { CommandContext } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { pageSize, wholeNumber } from "../numbers.ts";
import { shortTime, table } from "../output.ts";
import { findSku } from "../find-sku.ts";

/** What the channels show, below `stock`. */
export function addChannelCommands(stock: Command, context: CommandContext): void {
  addSync(stock, context);
  addOffer(stock, context);
  addDrifts(stock, context);
  stock
    .command("push-delay")
    .description("how long changes take to the right number at the channel")
    .option("--minutes <number>", "how far back, at most 1440", wholeNumber(1, 1_440), 15)
    .action(async (options: { minutes: number }) => {
      const api = await context.api();
      const answer = await api.get("/api/inventory/push-delay", options, pushDelayAnswer);
      context.output.result(answer, () =>
        answer.shops.length === 0
          ? `No push was confirmed in the last ${answer.minutes} minutes.`
          : table(
              ["SHOP", "PUSHES", "P50", "P95", "P99", "SLOWEST"],
              answer.shops.map((shop) => [
                shop.shop_name,
                shop.pushes,
                ...[shop.p50, shop.p95, shop.p99, shop.slowest].map((seconds) => `${seconds.toFixed(2)} s`),
              ]),
            ),
      );
    });
}

function addSync(stock: Command, context: CommandContext): void {
  stock
    .command("sync <sku>")
    .description("looks at what a SKU's listings show, now")
    .action(async (code: string) => {
      const api = await context.api();
      const { id } = await findSku(api, code);
      const answer = await api.post(`/api/inventory/products/${id}/sync`, {}, syncAnswer);
      context.output.result(answer, () =>
        [
          `${code}: ${answer.current_stock} on hand, ${answer.available_stock} available; channel: ${answer.inventory_sync_status}`,
          table(
            ["SHOP", "STATE", "SHOWS", "COMMITTED", "LOCKED", "SEEN"],
            answer.listings.flatMap((listing) =>
              listing.shown.map((shown) => [
                listing.shop_name,
                listing.missing_since === null ? listing.state : "missing",
                shown.available,
                shown.committed,
                shown.campaign + shown.creator,
                shortTime(shown.observed_at),
              ]),
            ),
          ),
          ...(answer.demand?.viral_since == null
            ? []
            : [
                `Viral since ${shortTime(answer.demand.viral_since)}: ${answer.demand.recent_per_minute.toFixed(1)} units a minute instead of ${answer.demand.usual_per_minute.toFixed(1)}; ${answer.demand.adaptive_buffer} units kept back.`,
              ]),
          answer.drifts.length === 0
            ? "Nothing drifts."
            : `${answer.drifts.length} drift. \`stock drifts\` shows them.`,
        ].join("\n\n"),
      );
    });
  for (const [word, does] of [
    ["pause", "stops telling the channels a SKU's numbers"],
    ["resume", "tells the channels a SKU's numbers again"],
  ] as const) {
    stock
      .command(`${word} <sku>`)
      .description(does)
      .action(async (code: string) => {
        const api = await context.api();
        const { id } = await findSku(api, code);
        const answer = await api.post(`/api/inventory/products/${id}/${word}`, {}, pauseAnswer);
        context.output.result(answer, () => `${code}: channel: ${answer.inventory_sync_status}`);
      });
  }
}

function addOffer(stock: Command, context: CommandContext): void {
  stock
    .command("offer <sku>")
    .description("what is kept back from a SKU's listings, and who repairs its drifts")
    .option("--buffer <units>", "units kept back", wholeNumber(0, 99_999))
    .option("--buffer-percent <percent>", "share of what is on hand; the higher counts", wholeNumber(0, 100))
    .option("--drift-rule <rule>", "automatic, ask or push_ours")
    .action(
      async (code: string, options: { buffer?: number; bufferPercent?: number; driftRule?: string }) => {
        const api = await context.api();
        const { id } = await findSku(api, code);
        const body = {
          buffer: options.buffer,
          buffer_percent: options.bufferPercent,
          drift_rule: options.driftRule,
        };
        const answer = await api.put(`/api/inventory/products/${id}/offer`, body, offerAnswer);
        context.output.result(answer, () => `${code}: ${answer.listings.length} listings are being told.`);
      },
    );
}

function addDrifts(stock: Command, context: CommandContext): void {
  stock
    .command("drifts")
    .description("listings that show what nothing explains")
    .option("--state <state>", "suspected, open, repairing or closed; all but closed when left out")
    .option("--limit <number>", "entries to show, at most 200", pageSize, "20")
    .action(async (options: { state?: string; limit: string }) => {
      const api = await context.api();
      const page = await api.get("/api/inventory/drifts", options, driftsPage);
      context.output.result(page, () =>
        page.drifts.length === 0
          ? "Nothing drifts."
          : table(
              ["ID", "SKU", "SHOP", "UNITS", "PROBABLE CAUSE", "STATE", "OURS", "THEIRS", "SINCE"],
              page.drifts.map((drift) => [
                drift.id,
                drift.sku,
                drift.shop_name,
                drift.units > 0 ? `+${drift.units}` : drift.units,
                drift.cause.replaceAll("_", " "),
                drift.state,
                drift.our_total,
                drift.their_available === null
                  ? "missing"
                  : `${drift.their_available} + ${drift.their_committed ?? 0}`,
                shortTime(drift.first_seen_at),
              ]),
            ),
      );
    });
  stock
    .command("repair <drift>")
    .description(
      "repairs a drift: tells the channel our number again, or corrects our stock by the difference",
    )
    .requiredOption("--how <how>", "push_ours or take_theirs")
    .requiredOption("--reason <text>", "why, for the record")
    .action(async (id: string, options: { how: string; reason: string }) => {
      if (options.how !== "push_ours" && options.how !== "take_theirs") {
        throw new CommandFailure(2, "Say --how push_ours or --how take_theirs.");
      }
      const api = await context.api();
      const answer = await api.post(`/api/inventory/drifts/${pathPart(id)}/repair`, options, repairAnswer);
      context.output.result(answer, () =>
        answer.new_stock_level === null
          ? "The channel is told our number again."
          : `Corrected: ${answer.new_stock_level} on hand.`,
      );
    });
}

import type { Command } from "commander";
import type { z } from "zod";
import { adjustOrAwait } from "../../api/contract/approvals.ts";
import { adjustAnswer, productDetail, productSchema } from "../../api/contract/inventory.ts";
import { type ApiClient, pathPart } from "../client.ts";
import type { CommandContext } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { findSku } from "../find-sku.ts";
import { wholeNumber } from "../numbers.ts";

/** Adds what sets something of one SKU, and the scanner's look-up. */
export function addStockSettingCommands(stock: Command, context: CommandContext): void {
  const { output } = context;
  stock
    .command("count <sku>")
    .description("says how many units of a SKU there are at a location, those promised to orders included")
    .requiredOption("--on-hand <units>", "0 to 1000000", wholeNumber(0, 1_000_000))
    .requiredOption("--reason <text>", "why, for the ledger")
    .option("--location <name>", "where; the default location when left out")
    .action(async (code: string, options: { onHand: number; reason: string; location?: string }) => {
      const api = await context.api();
      const { id, level } = await findLevel(api, code, options.location);
      const answer = await api.put(
        `/api/inventory/products/${id}/levels/${level.location_id}`,
        { on_hand: options.onHand, reason: options.reason },
        adjustOrAwait,
        level.etag,
      );
      output.result(answer, () => changeText(code, answer));
    });

  stock
    .command("repair-level <sku>")
    .description("lets a SKU go on whose numbers were corrupted, with as many units as you have counted")
    .requiredOption("--on-hand <units>", "0 to 1000000", wholeNumber(0, 1_000_000))
    .requiredOption("--reason <text>", "why, for the ledger")
    .option("--location <name>", "where; the default location when left out")
    .action(async (code: string, options: { onHand: number; reason: string; location?: string }) => {
      const api = await context.api();
      const { id, level } = await findLevel(api, code, options.location);
      const answer = await api.post(
        `/api/inventory/products/${id}/repair`,
        { on_hand: options.onHand, reason: options.reason, location_id: level.location_id },
        adjustAnswer,
      );
      output.result(answer, () => changeText(code, answer));
    });

  stock
    .command("threshold <sku>")
    .description("sets from how many available units on a SKU counts as low")
    .requiredOption("--units <units>", "0 (never) to 10000", wholeNumber(0, 10_000))
    .action(async (code: string, options: { units: number }) => {
      const api = await context.api();
      const { id } = await findSku(api, code);
      const sku = await api.put(
        `/api/inventory/products/${id}/threshold`,
        { threshold: options.units },
        productSchema,
      );
      output.result(
        sku,
        () => `${sku.sku} counts as low at ${sku.low_stock_threshold} available units or less.`,
      );
    });

  stock
    .command("scan <barcode>")
    .description("the SKU that a scanner has read, by its barcode or its code")
    .action(async (barcode: string) => {
      const api = await context.api();
      const sku = await api.get(`/api/inventory/barcodes/${pathPart(barcode)}`, {}, productSchema);
      output.result(
        sku,
        () =>
          `${sku.sku}  ${sku.name}\n${sku.current_stock} on hand - ${sku.reserved_stock} reserved = ${sku.available_stock} available`,
      );
    });
}

/** @throws CommandFailure naming where the SKU lies when it does not lie there. */
async function findLevel(api: ApiClient, code: string, location: string | undefined) {
  const { id } = await findSku(api, code);
  const { levels } = await api.get(`/api/inventory/products/${id}`, {}, productDetail);
  const level = levels.find((each) =>
    location === undefined ? each.is_default : each.location_name === location,
  );
  if (level === undefined) {
    const names = levels.map((each) => each.location_name).join(", ");
    throw new CommandFailure(2, `${code} has no stock record there.`, `It lies at: ${names}`);
  }
  return { id, level };
}

/** What a change by hand came to. */
export function changeText(code: string, answer: z.output<typeof adjustOrAwait>): string {
  return "approval_id" in answer
    ? `${code}: ${answer.detail} Approval ${answer.approval_id}`
    : `${code}: ${answer.new_stock_level} on hand, ${answer.available_stock} available.`;
}

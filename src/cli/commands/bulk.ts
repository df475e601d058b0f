import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import fs from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import type { z } from "zod";
import { bulkItemsPage, bulkOperation, importAnswer } from "../../api/contract/bulk.ts";
import type { ApiClient } from "../client.ts";
import type { CommandContext } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { table } from "../output.ts";

const lookAgainMilliseconds = 1_000;
const refusedShown = 20;

/** Adds stock by file, in and out. */
export function addBulkCommands(stock: Command, context: CommandContext): void {
  const { output } = context;
  stock
    .command("import <file>")
    .description("changes stock by a CSV file with the columns sku, quantity, reason; see docs/adjusting.md")
    .option("--dry-run", "changes nothing and says what each row would come to now")
    .option("--again", "applies a file once more that was imported before")
    .action(async (file: string, options: { dryRun?: true; again?: true }) => {
      const csv = await fs.readFile(file).catch((cause: unknown) => {
        throw new CommandFailure(2, `${file} cannot be read: ${cause instanceof Error ? cause.message : ""}`);
      });
      // The same file is the same import: a command that is typed again changes nothing twice.
      const isNew = options.dryRun === true || options.again === true;
      const key = isNew ? randomUUID() : `import-${createHash("sha256").update(csv).digest("hex")}`;
      const api = await context.api();
      const { bulk_id: id } = await api.upload(
        `/api/inventory/import?dry_run=${options.dryRun === true}`,
        csv,
        key,
        importAnswer,
      );
      const done = await untilFinished(api, context, id);
      const { items } = await api.get(
        `/api/bulk/${id}/items`,
        { result: "refused", limit: refusedShown },
        bulkItemsPage,
      );
      output.result({ ...done, refused_items: items }, () => importText(done, items));
    });

  stock
    .command("export [file]")
    .description("writes the stock of all SKUs as CSV, to the file or to standard output")
    .option("--status <status>", "in_stock, low_stock or out_of_stock")
    .option("--search <text>", "part of a name or a code")
    .action(async (file: string | undefined, options: { status?: string; search?: string }) => {
      const api = await context.api();
      const csv = Readable.fromWeb(
        (await api.download("/api/inventory/export", options)) as Parameters<typeof Readable.fromWeb>[0],
      );
      if (file === undefined) {
        for await (const chunk of csv) process.stdout.write(chunk as Buffer);
        return;
      }
      await pipeline(csv, createWriteStream(file));
      output.result({ file }, () => `Written to ${file}.`);
    });
}

type Progress = z.output<typeof bulkOperation>;

async function untilFinished(api: ApiClient, { output }: CommandContext, id: string): Promise<Progress> {
  while (true) {
    const now = await api.get(`/api/bulk/${id}`, {}, bulkOperation);
    output.progress(`${now.rows - now.waiting} of ${now.rows} rows`);
    if (now.state === "finished") {
      output.endProgress();
      return now;
    }
    await pause(lookAgainMilliseconds);
  }
}

function importText(done: Progress, items: z.output<typeof bulkItemsPage>["items"]): string {
  const applied = done.dry_run ? "would be applied" : "applied";
  const sum = `${done.applied} of ${done.rows} rows ${applied}, ${done.refused} refused. Asked for at ${done.created_at}; operation ${done.id}`;
  if (items.length === 0) return sum;
  const rows = items.map(({ line, row, given, detail }) => [
    line ?? row,
    (given["sku"] ?? "") || (given["barcode"] ?? ""),
    given["quantity"] ?? "",
    detail,
  ]);
  const more =
    done.refused > items.length
      ? [`${done.refused - items.length} more: GET /api/bulk/${done.id}/refused`]
      : [];
  return [sum, table(["LINE", "SKU", "QUANTITY", "WHAT TO DO"], rows), ...more].join("\n\n");
}

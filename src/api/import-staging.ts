import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import type { Database } from "../db/connection.ts";
import { beginBulk, findSkusByCodes, listLocations, stageBulkRows } from "../db/bulk-operations.ts";
import { withTenant } from "../db/tenant.ts";
import { bulkLimits, cellsOf, type ImportColumn, readHeader } from "../domain/bulk/bulk-row.ts";
import type { TenantId, UserId } from "../domain/ids.ts";
import { codeOf, type KnownNames, type RawRow, resolveRow } from "./bulk-rows.ts";
import { Problem } from "./problem.ts";

/** Rows that are looked up and stored together; what is in memory at once. */
const rowsOfChunk = 1_000;
/** Longer than every cell of an honest row together. */
const recordCharactersMax = 64_000;

export interface StagedImport {
  readonly rowCount: number;
  /** SHA-256 of the file. */
  readonly contentHash: Buffer;
}

/**
 * Reads a CSV file as it comes in and stages its rows, a chunk at a time: however long the file is, a chunk of it is in
 * memory. What a row names is looked up on the way, and a row that is wrong in itself gets its reason.
 *
 * @param onBegun is told the id of the operation before the first row is staged under it.
 * @throws Problem when the file as a whole cannot be taken: too long, no CSV, without the columns it needs.
 */
export async function stageImport(
  db: Database,
  { tenantId, userId }: { readonly tenantId: TenantId; readonly userId: UserId },
  file: Readable,
  dryRun: boolean,
  onBegun: (bulkId: string) => void,
): Promise<StagedImport> {
  const { bulkId, locations } = await withTenant(db, tenantId, async (transaction) => ({
    bulkId: await beginBulk(transaction, tenantId, { kind: "import", dryRun, requestedBy: userId }),
    locations: await listLocations(transaction),
  }));
  onBegun(bulkId);
  const hash = createHash("sha256");
  let rowCount = 0;
  for await (const rows of chunksOf(recordsOf(bytesOf(file, hash)))) {
    rowCount += rows.length;
    await withTenant(db, tenantId, async (transaction) => {
      const names: KnownNames = { locations, skus: await findSkusByCodes(transaction, ...namesOf(rows)) };
      const staged = rows.map((row) => resolveRow(row, names));
      await stageBulkRows(transaction, tenantId, bulkId, staged);
    });
  }
  if (rowCount === 0) throw new Problem("invalid-request", "The file holds no rows below its first line.");
  return { rowCount, contentHash: hash.digest() };
}

function namesOf(rows: readonly RawRow[]): [codes: string[], barcodes: string[]] {
  const cells = rows.flatMap((row) => (row.cells === null ? [] : [row.cells]));
  return [cells.map(codeOf).filter(isName), cells.map(({ barcode }) => barcode).filter(isName)];
}

/** Postgres takes no zero byte; no code holds one. */
function isName(text: string): boolean {
  return text !== "" && !text.includes("\u0000");
}

async function* bytesOf(file: Readable, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  let length = 0;
  // Who has sent too much is still told so: his connection is not cut while he sends.
  for await (const chunk of file.iterator({ destroyOnReturn: false })) {
    const bytes = chunk as Buffer;
    length += bytes.length;
    if (length > bulkLimits.bytesOfImport) {
      throw new Problem(
        "too-large",
        `A file may have ${bulkLimits.bytesOfImport / 1_024 ** 2} MB at most: split it.`,
      );
    }
    hash.update(bytes);
    yield bytes;
  }
}

/** The rows below the first line, which names the columns. */
async function* recordsOf(bytes: AsyncGenerator<Buffer>): AsyncGenerator<RawRow> {
  const parser = parse({
    bom: true,
    info: true,
    // A row with a cell too many is reported as that; the others are read.
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: recordCharactersMax,
  });
  const source = Readable.from(bytes);
  source.once("error", (error) => parser.destroy(error));
  source.pipe(parser);
  let columns: readonly ImportColumn[] | null = null;
  let rowNumber = 0;
  try {
    for await (const each of parser) {
      const { record, info } = each as { record: string[]; info: { lines: number } };
      if (columns === null) {
        const header = readHeader(record);
        if ("problem" in header) throw new Problem("invalid-request", header.problem);
        columns = header.columns;
        continue;
      }
      rowNumber += 1;
      if (rowNumber > bulkLimits.rowsOfImport) {
        throw new Problem(
          "too-large",
          `A file may have ${bulkLimits.rowsOfImport.toLocaleString("en")} rows at most: split it.`,
        );
      }
      yield { rowNumber, line: info.lines, cells: cellsOf(columns, record), text: record.join(",") };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new Problem("invalid-request", `The file is no CSV that can be read: ${error.message}.`, {
      cause: error,
    });
  } finally {
    source.destroy();
  }
}

async function* chunksOf(rows: AsyncGenerator<RawRow>): AsyncGenerator<readonly RawRow[]> {
  let chunk: RawRow[] = [];
  for await (const row of rows) {
    chunk.push(row);
    if (chunk.length < rowsOfChunk) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

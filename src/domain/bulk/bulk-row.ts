/**
 * One row of an import or of a batch: whose stock, by how much (or to what count), and why. What is wrong with a row in
 * itself is found here; whether the stock can take it, the SKU's entity decides.
 */
export type BulkMode = "delta" | "count";

/** A row that makes sense. */
export interface BulkRow {
  readonly mode: BulkMode;
  /** Signed units to add, or the units counted. */
  readonly quantity: number;
  readonly reason: string;
}

export const importColumns = ["sku", "barcode", "location", "mode", "quantity", "reason"] as const;
export type ImportColumn = (typeof importColumns)[number];

/** The cells of one row by column; a column that the file does not have is an empty text. */
export type ImportCells = Readonly<Record<ImportColumn, string>>;

export type RowProblem =
  | "wrong_columns"
  | "no_sku"
  | "unknown_sku"
  | "sku_is_another"
  | "unknown_location"
  | "ambiguous_location"
  | "unknown_mode"
  | "not_a_number"
  | "out_of_range"
  | "no_reason"
  | "reason_too_long"
  | "counted_twice";

export const bulkLimits = {
  /** Units that one row may add or take away. */
  delta: 10_000,
  /** Units that may be counted. */
  count: 1_000_000,
  reasonCharacters: 500,
  rowsOfImport: 50_000,
  bytesOfImport: 20 * 1_024 * 1_024,
  rowsOfBatch: 1_000,
} as const;

/** What to do about each problem, for whoever made the file. */
export const rowProblems: Readonly<Record<RowProblem, string>> = {
  wrong_columns: "The row has more or fewer cells than the first line: put text that holds commas in quotes.",
  no_sku: "The row names no SKU: fill in the column sku or barcode.",
  unknown_sku: "No SKU has this code or barcode: look it up with `stock show` or in the export.",
  sku_is_another: "The code and the barcode belong to two SKUs: leave one of them out.",
  unknown_location: "No location has this name or id: leave it out for the default location.",
  ambiguous_location: "Several locations have this name: give the location's id.",
  unknown_mode: "The mode must be delta (units to add) or count (units there are).",
  not_a_number: "The quantity must be a whole number, such as 12 or -3, without separators.",
  out_of_range: `A delta must be from -${bulkLimits.delta} to ${bulkLimits.delta} and not 0; a count from 0 to ${bulkLimits.count}.`,
  no_reason: "The reason is empty: say why, for whoever reads the ledger later.",
  reason_too_long: `The reason is longer than ${bulkLimits.reasonCharacters} characters: shorten it.`,
  counted_twice:
    "The file counts this SKU at this location more than once, so nobody can tell which is right: leave one row.",
};

export type HeaderReading =
  | { readonly columns: readonly ImportColumn[] }
  /** Why the file cannot be read at all, and what to do. */
  | { readonly problem: string };

/** Reads the first line. Columns may stand in any order. */
export function readHeader(cells: readonly string[]): HeaderReading {
  const names = cells.map((cell) => cell.trim().toLowerCase());
  const unknown = names.filter((name) => !isColumn(name));
  if (unknown.length > 0) {
    return {
      problem: `The first line must name the columns, separated by commas: ${importColumns.join(", ")}. Not known: ${quoted(unknown)}.`,
    };
  }
  const columns = names.filter(isColumn);
  const twice = columns.filter((name, index) => columns.indexOf(name) !== index);
  if (twice.length > 0) return { problem: `The first line names a column twice: ${quoted(twice)}.` };
  const missing = (["quantity", "reason"] as const).filter((name) => !columns.includes(name));
  if (missing.length > 0) return { problem: `The first line must name the columns ${quoted(missing)}.` };
  if (!columns.includes("sku") && !columns.includes("barcode")) {
    return { problem: 'The first line must name the column "sku" or "barcode".' };
  }
  return { columns };
}

/** Puts a row's cells to their columns; null when there are more or fewer cells than columns. */
export function cellsOf(columns: readonly ImportColumn[], cells: readonly string[]): ImportCells | null {
  if (cells.length !== columns.length) return null;
  const read = { sku: "", barcode: "", location: "", mode: "", quantity: "", reason: "" };
  columns.forEach((column, index) => {
    read[column] = (cells[index] ?? "").trim();
  });
  return read;
}

/** What a row asks for, or what is wrong with it in itself. Control characters in a reason become blanks. */
export function readRow(cells: ImportCells): BulkRow | RowProblem {
  if (cells.sku === "" && cells.barcode === "") return "no_sku";
  const mode = cells.mode === "" ? "delta" : cells.mode.toLowerCase();
  if (mode !== "delta" && mode !== "count") return "unknown_mode";
  if (!/^[+-]?\d{1,15}$/.test(cells.quantity)) return "not_a_number";
  // Nobody counts "-0" units, but it is a way to write nothing.
  const quantity = Number(cells.quantity) + 0;
  if (!isInRange(mode, quantity)) return "out_of_range";
  const reason = cells.reason.replaceAll(/[\p{Cc}\u2028\u2029]/gu, " ").trim();
  if (reason === "") return "no_reason";
  if (reason.length > bulkLimits.reasonCharacters) return "reason_too_long";
  return { mode, quantity, reason };
}

function isInRange(mode: BulkMode, quantity: number): boolean {
  if (mode === "count") return quantity >= 0 && quantity <= bulkLimits.count;
  return quantity !== 0 && Math.abs(quantity) <= bulkLimits.delta;
}

function isColumn(name: string): name is ImportColumn {
  return (importColumns as readonly string[]).includes(name);
}

function quoted(names: readonly string[]): string {
  return names
    .slice(0, 5)
    .map((name) => `"${name.slice(0, 40)}"`)
    .join(", ");
}

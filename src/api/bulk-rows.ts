import type { findSkusByCodes, StagedRow } from "../db/bulk-operations.ts";
import { type ImportCells, importColumns, readRow, type RowProblem } from "../domain/bulk/bulk-row.ts";
import { withoutFormulaMark } from "../domain/bulk/formula.ts";
import { asId, type LocationId, type SkuId } from "../domain/ids.ts";

/** What a row's cells may name. */
export interface KnownNames {
  readonly skus: Awaited<ReturnType<typeof findSkusByCodes>>;
  readonly locations: readonly { readonly id: LocationId; readonly name: string }[];
}

/** A row as it came. */
export interface RawRow {
  readonly rowNumber: number;
  readonly line: number | null;
  /** Null when the row has more or fewer cells than there are columns. */
  readonly cells: ImportCells | null;
  /** What came in place of cells. */
  readonly text?: string;
}

const noCells: ImportCells = { sku: "", barcode: "", location: "", mode: "", quantity: "", reason: "" };

/** Characters of a cell that are kept for whoever must mend it. */
const givenCharacters = 600;

/** The code that a cell names: an export marks those that look like formulas. */
export function codeOf({ sku }: ImportCells): string {
  return withoutFormulaMark(sku);
}

/** Finds what a row names and what it asks for, or what is wrong with it. */
export function resolveRow({ rowNumber, line, cells, text = "" }: RawRow, names: KnownNames): StagedRow {
  const place = { rowNumber, line, given: givenOf(cells ?? { ...noCells, reason: text }) };
  const refused = (asks: RowProblem): StagedRow => ({ ...place, skuId: null, locationId: null, asks });
  if (cells === null) return refused("wrong_columns");
  const asks = readRow(cells);
  if (typeof asks === "string") return refused(asks);
  const sku = findSku(cells, names);
  if ("problem" in sku) return refused(sku.problem);
  const location = findLocation(cells, names);
  if ("problem" in location) return refused(location.problem);
  return { ...place, skuId: sku.id, locationId: location.id, asks };
}

type Found<Id> = { readonly id: Id } | { readonly problem: RowProblem };

function findSku(cells: ImportCells, { skus }: KnownNames): Found<SkuId> {
  const named = [
    ...(cells.sku === "" ? [] : [skus.byCode.get(codeOf(cells))]),
    ...(cells.barcode === "" ? [] : [skus.byBarcode.get(cells.barcode)]),
  ];
  const [first, second = first] = named;
  if (first === undefined || second === undefined) return { problem: "unknown_sku" };
  return first === second ? { id: first } : { problem: "sku_is_another" };
}

function findLocation({ location }: ImportCells, { locations }: KnownNames): Found<LocationId | null> {
  if (location === "") return { id: null };
  const name = withoutFormulaMark(location);
  const byId = locations.find(({ id }) => id === location.toLowerCase());
  if (byId !== undefined) return byId;
  const [first, second] = locations.filter((each) => each.name === name);
  if (first === undefined) return { problem: "unknown_location" };
  return second === undefined ? { id: asId<"Location">(first.id) } : { problem: "ambiguous_location" };
}

/** The cells as Postgres and every screen can hold them. */
function givenOf(cells: ImportCells): ImportCells {
  const cut = (text: string) =>
    text
      .slice(0, givenCharacters)
      .replaceAll(/[\p{Cc}\u2028\u2029]/gu, " ")
      .replaceAll(/\p{Surrogate}/gu, "\uFFFD");
  const given = { ...noCells } as Record<keyof ImportCells, string>;
  for (const column of importColumns) given[column] = cut(cells[column]);
  return given;
}

import { describe, expect, test } from "vitest";
import { cellsOf, type ImportCells, readHeader, readRow } from "../../../src/domain/bulk/bulk-row.ts";

const honest: ImportCells = {
  sku: "MUG",
  barcode: "",
  location: "",
  mode: "",
  quantity: "1",
  reason: "delivery",
};

describe("a row", () => {
  test.each([
    [{ quantity: "12" }, { mode: "delta", quantity: 12, reason: "delivery" }],
    [{ quantity: "+12" }, { mode: "delta", quantity: 12, reason: "delivery" }],
    [{ quantity: "-10000" }, { mode: "delta", quantity: -10_000, reason: "delivery" }],
    [
      { mode: "Count", quantity: "0" },
      { mode: "count", quantity: 0, reason: "delivery" },
    ],
    [
      { mode: "count", quantity: "-0" },
      { mode: "count", quantity: 0, reason: "delivery" },
    ],
    [
      { sku: "", barcode: "4006" },
      { mode: "delta", quantity: 1, reason: "delivery" },
    ],
    [{ reason: " two\nlines\u0000 " }, { mode: "delta", quantity: 1, reason: "two lines" }],
    [{ sku: "" }, "no_sku"],
    [{ mode: "set" }, "unknown_mode"],
    [{ quantity: "" }, "not_a_number"],
    [{ quantity: "1.5" }, "not_a_number"],
    [{ quantity: "1,000" }, "not_a_number"],
    [{ quantity: "0x10" }, "not_a_number"],
    [{ quantity: "1e3" }, "not_a_number"],
    [{ quantity: "9".repeat(16) }, "not_a_number"],
    [{ quantity: "0" }, "out_of_range"],
    [{ quantity: "10001" }, "out_of_range"],
    [{ quantity: "-10001" }, "out_of_range"],
    [{ mode: "count", quantity: "-1" }, "out_of_range"],
    [{ mode: "count", quantity: "1000001" }, "out_of_range"],
    [{ reason: " \u0007 " }, "no_reason"],
    [{ reason: "x".repeat(501) }, "reason_too_long"],
  ] as const)("with %j means %j", (cells, meaning) => {
    expect(readRow({ ...honest, ...cells })).toEqual(meaning);
  });

  test("has a cell for each column, no more and no fewer", () => {
    expect(cellsOf(["sku", "quantity", "reason"], ["MUG", " 1 ", "x"])).toMatchObject({ quantity: "1" });
    expect(cellsOf(["sku", "quantity", "reason"], ["MUG", "1"])).toBeNull();
    expect(cellsOf(["sku", "quantity", "reason"], ["MUG", "1", "x", ""])).toBeNull();
  });
});

describe("the first line", () => {
  test.each([
    [["sku", "quantity", "reason"], null],
    [[" Reason", "QUANTITY ", "barcode"], null],
    [["sku", "location", "mode", "quantity", "reason", "barcode"], null],
    [["sku;quantity;reason"], "separated by commas"],
    [["sku", "quantity"], '"reason"'],
    [["quantity", "reason"], '"sku" or "barcode"'],
    [["sku", "sku", "quantity", "reason"], "twice"],
    [["sku", "quantity", "reason", "price"], '"price"'],
  ])("%j is read, or refused with what to do: %s", (cells, problem) => {
    const reading = readHeader(cells);
    if (problem === null) expect(reading).toHaveProperty("columns");
    else expect(reading).toEqual({ problem: expect.stringContaining(problem) as string });
  });
});

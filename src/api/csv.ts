import { Readable } from "node:stream";
import { stringify } from "csv-stringify/sync";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { neutraliseFormula } from "../domain/bulk/formula.ts";

/** A number stays one; text is quoted, and no spreadsheet runs it. */
export type CsvCell = string | number | null;

/** Lines of a CSV file, for a spreadsheet or a program. */
export function csvLines(rows: readonly (readonly CsvCell[])[]): string {
  const cells = rows.map((row) =>
    row.map((cell) => (typeof cell === "string" ? neutraliseFormula(cell) : cell)),
  );
  return stringify(cells, { quoted_string: true });
}

/** For a route's `response`: what `csvAnswer` sends. */
export const csvResponse = {
  description: "A CSV file in UTF-8 with a line of column names",
  content: { "text/csv": { schema: z.string() } },
};

/**
 * What a route returns to send lines as they are made; a client that reads slowly makes us read slowly. Typed as the text
 * that the client gets.
 */
export function csvAnswer(
  reply: Pick<FastifyReply, "header">,
  fileName: string,
  lines: AsyncIterable<string>,
): string {
  void reply.header("content-type", "text/csv; charset=utf-8");
  void reply.header("content-disposition", `attachment; filename="${fileName}"`);
  return Readable.from(lines, { objectMode: false }) as unknown as string;
}

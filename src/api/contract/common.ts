import { z } from "zod";

/** What several shapes share: how text, ids, times and pages look on the wire. */
export const uuidSchema = z.uuid().describe("UUID");

/** ISO 8601 in UTC. */
export const timeSchema = z.iso.datetime().describe("ISO 8601 in UTC");

const loneSurrogate = /\p{Surrogate}/u;
const controlCharacters = /[\p{Cc}\u2028\u2029]/gu;

/** Text that Postgres and every screen can hold: well formed, without control characters. */
export function plainText(lengthMin: number, lengthMax: number) {
  return z
    .string()
    .min(lengthMin)
    .max(lengthMax)
    .refine((text) => !loneSurrogate.test(text), "holds half of a character")
    .refine((text) => text.search(controlCharacters) === -1, "holds control characters");
}

/** A person's own words: control characters become blanks instead of being refused. */
export const reasonSchema = z
  .string()
  .overwrite((text) => text.replaceAll(controlCharacters, " ").trim())
  .min(1)
  .max(500)
  .refine((text) => !loneSurrogate.test(text), "holds half of a character")
  .describe("Why, for whoever reads the record later; control characters are removed");

export const limitSchema = z.coerce
  .number()
  .int()
  .min(1)
  .max(200)
  .default(20)
  .describe("Entries a page, at most 200");

export const cursorSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,600}$/, "is not a cursor")
  .optional()
  .describe("`next_cursor` of the page before");

export const nextCursorSchema = z
  .string()
  .nullable()
  .describe("Give it back as `cursor` for the next page; null on the last one");

/** A switch in a query string. */
export const flagSchema = z
  .enum(["true", "false"])
  .optional()
  .describe("`true` or `false`; both when left out");

export const idParameters = z.object({ id: uuidSchema });

/** A write that may be sent again after a lost answer carries the same key and has one effect. */
export const idempotencyHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, "must be 1 to 255 visible ASCII characters")
    .describe("Names this request: sent again with the same key it has one effect and the same answer"),
});

/** Units that one request may move; a larger change is likelier a slip of the finger. */
export const unitsMaximum = 10_000;
export const unitsSchema = z.number().int().min(1).max(unitsMaximum);

/**
 * Something that must hold at every commit, as SQL that knows nothing of the code which makes it so. It goes over its tables
 * in one pass: what is looked up row by row takes minutes in a ledger of a million rows. The query returns one row for each
 * thing that is wrong: `subject`, `delta`, `explanation`, `under_way`; where a SKU's numbers are wrong also its `tenant_id`
 * and `sku_id`.
 */
export interface Invariant {
  readonly name: string;
  /** Counts what is looked at. */
  readonly examined: string;
  readonly query: string;
}

import type { WorkflowBundleWithSourceMap } from "@temporalio/worker";
import { beforeAll, describe, expect, test } from "vitest";
import { bundleWorkflows } from "../../src/workers.ts";
import { findReplayFailures, readRecordedHistories, type RecordedHistory } from "../support/histories.ts";

/**
 * Workflows that were started by an older version go on with this one: each recorded history must replay. One that does
 * not is a change that would leave running orders stuck; docs/how-to/change-a-workflow.md says what to do.
 */
let bundle: WorkflowBundleWithSourceMap;
let recorded: readonly RecordedHistory[];

beforeAll(async () => {
  [bundle, recorded] = await Promise.all([bundleWorkflows(), readRecordedHistories()]);
});

test.each([
  ["an order completed", /^orderLifecycle .*arrangeShipment.* delivered ended$/],
  ["an order cancelled before it was shipped", /^orderLifecycle (?!.*arrangeShipment).*cancelled ended$/],
  [
    "an order cancelled after its shipment was arranged",
    /^orderLifecycle .*arrangeShipment.* cancelled ended$/,
  ],
  ["an order that was short", /^orderLifecycle .*needing attention/],
  [
    "an order that waited for units until it should have shipped",
    /^orderLifecycle pending pending needing attention$/,
  ],
  ["an order whose shortage a person decided about", /^orderLifecycle .*chooseShortageCourse/],
  ["an order cancelled by a person", /^orderLifecycle .*cancelOrder.*cancelAtChannel/],
  ["an order that continued as new", /^orderLifecycle .*continued$/],
  ["a SKU that applied batches", /^skuInventory .*applyOperations/],
  ["a SKU that ended when a lone request was done", /^skuInventory applyOperations ended$/],
  ["a SKU that pushed its offer", /^skuInventory .*pushOffer/],
  ["a SKU that continued as new", /^skuInventory .*continued$/],
  ["a poll", /^tiktokOrderSync .*ended$/],
  ["a large change that was approved", /^stockApproval .*applyApproval ended$/],
  ["a large change that nobody decided on", /^stockApproval ended$/],
  ["an import", /^bulkOperation .*ended$/],
  ["an import that continued as new", /^bulkOperation .*continued$/],
  ["an alert that people were told of", /^alertDelivery sendAlertDelivery ended$/],
  ["an alert that was over before anybody was told", /^alertDelivery ended$/],
  ["an alert that continued as new", /^alertDelivery .*continued$/],
  ["a nightly proof", /^stockProof proveStock ended$/],
  ["a look at a shop's listings", /^tiktokInventorySync .*ended$/],
])("a history of %s is recorded", (_what, path) => {
  expect(recorded.map((history) => history.path)).toContainEqual(expect.stringMatching(path));
});

test("every recorded history replays on the workflows as they are now", async () => {
  expect(await findReplayFailures(bundle, recorded)).toEqual([]);
});

/** The workflow library and our activities as the compiler names them in the bundle. */
const library = "_temporalio_workflow__WEBPACK_IMPORTED_MODULE_0__";
const activities = "_activities_ts__WEBPACK_IMPORTED_MODULE_1__";

describe("an edit that would leave running workflows stuck is caught:", () => {
  test.each([
    [
      "a timer before an order decides",
      `await ${activities}.inDatabase.advanceOrder(`,
      `await (0,${library}.condition)(() => false, 5) || await ${activities}.inDatabase.advanceOrder(`,
    ],
    ["an activity by another name", ".arrangeShipment({", ".arrangeShipments({"],
    ["a local activity by another name", ".inDatabase.advanceOrder(", ".inDatabase.decideOrder("],
    ["a search attribute that is told no more", `(0,${library}.upsertSearchAttributes)([`, "void (["],
    [
      "a SKU without its idle timer",
      "void _class_private_method_get(this, _watchIdleness, watchIdleness).call(this);",
      "void 0;",
    ],
  ])("%s", async (_what, original, edited) => {
    expect(bundle.code).toContain(original);
    const mutant = { ...bundle, code: bundle.code.replaceAll(original, edited) };
    expect(await findReplayFailures(mutant, recorded)).not.toEqual([]);
  });
});

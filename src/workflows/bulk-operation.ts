import { continueAsNew, setCurrentDetails } from "@temporalio/workflow";
import { workingInBulk } from "./activities.ts";
import type { BulkInput } from "./messages.ts";

/** Pages of one run; what is longer goes on in the next, so that no history grows with it. */
const pagesMaximum = 50;

/**
 * Works the rows of an import or a batch off, page by page, until each has its result. Rows and results are in Postgres, so a
 * page that is done again finds fewer rows, or the same answers.
 */
export async function bulkOperation(input: BulkInput): Promise<void> {
  const { tenantId, bulkId, queuePrefix, pagesOfRun = pagesMaximum } = input;
  const bulk = workingInBulk(queuePrefix);
  let done = input.done ?? 0;
  for (let page = 0; page < pagesOfRun; page += 1) {
    const step = await bulk.workOffBulkPage({ tenantId, bulkId });
    if (step.finished) return;
    done += step.rows;
    setCurrentDetails(`${done} rows have their result.`);
  }
  await continueAsNew<typeof bulkOperation>({ ...input, done });
}

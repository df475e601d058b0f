import { type WorkflowExecutionInfo, WorkflowNotFoundError } from "@temporalio/client";
import { queueSuccessors } from "../db/recovery.ts";
import { subjectOfWorkflow, taskQueues } from "../workflows/addressing.ts";
import type { IntakeDependencies } from "./dependencies.ts";

/** The server sets this search attribute when a run's tasks have failed several times in a row. */
const problem = "cause=WorkflowTaskFailedCauseNonDeterministicError";
/** Those that carry what Postgres has. Polls and looks at listings come again by their schedules. */
const endedTypes = [
  "skuInventory",
  "orderLifecycle",
  "stockApproval",
  "bulkOperation",
  "alertDelivery",
  "stockHold",
] as const;
/** Ended in one pass: few, so that all of them are ended long before their successors are told. */
const endedMaximum = 20;
/** The message that starts the successor must come after the end: told to the one that is stuck it would be lost. */
const successorSeconds = 10;

/**
 * Ends workflows whose history does not replay, and has them started anew. No task of theirs can ever succeed: a SKU would take
 * no requests, an order no news, an alert would be told to nobody more. Nothing is lost with them, since what they carry is in
 * Postgres, and whoever asks again with the same ids gets what was done already. A hold's end is also seen to by a sweep.
 *
 * It takes no change of ours: Temporal may renumber the events of a task that its server has forgotten in an overload, and a
 * worker that has seen the first numbering passes over what happened meanwhile (seen with SDK 1.24 and server 1.32).
 *
 * @returns how many were ended in a full pass; 0 when nothing is left.
 */
export async function sweepStuckWorkflows({
  db,
  client,
  logger,
  queuePrefix,
}: Pick<IntakeDependencies, "db" | "client" | "logger" | "queuePrefix">): Promise<number> {
  const { orders, inventory } = taskQueues(queuePrefix);
  const query =
    `ExecutionStatus = 'Running' and TaskQueue in ('${orders}', '${inventory}') ` +
    `and WorkflowType in (${endedTypes.map((type) => `'${type}'`).join(", ")}) and TemporalReportedProblems = '${problem}'`;
  const stuck: WorkflowExecutionInfo[] = [];
  for await (const run of client.workflow.list({ query, pageSize: endedMaximum })) {
    stuck.push(run);
    if (stuck.length === endedMaximum) break;
  }
  if (stuck.length === 0) return 0;
  await queueSuccessors(
    db,
    stuck.flatMap(({ workflowId }) => subjectOfWorkflow(workflowId) ?? []),
    successorSeconds,
  );
  for (const { workflowId, runId } of stuck) {
    logger.error({ workflowId, runId }, "A workflow's history does not replay: it is ended and begun anew");
    await client.workflow
      .getHandle(workflowId, runId)
      .terminate(
        "Its history does not replay; what it carries is in Postgres, and its successor goes on from there",
      )
      .catch((error: unknown) => {
        // The list is a moment behind: it has ended already.
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      });
  }
  return stuck.length === endedMaximum ? stuck.length : 0;
}

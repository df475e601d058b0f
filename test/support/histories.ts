import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { historyToJSON } from "@temporalio/common/lib/proto-utils.js";
import { Worker, type WorkflowBundleWithSourceMap } from "@temporalio/worker";
import { z } from "zod";
import { taskQueues } from "../../src/workflows/addressing.ts";
import type { TestTemporal } from "./temporal.ts";
// Installs the quiet runtime: what a replay has to say comes back as its result.
import "./workers.ts";

/** Histories as Temporal exports them: what a workflow did once, and must do again when it is replayed. */
export interface RecordedHistory {
  readonly workflowId: string;
  /** What happened in it, in short: histories with the same path are alike. */
  readonly path: string;
  readonly json: unknown;
}

const folder = path.resolve(import.meta.dirname, "../histories");

const named = z.object({ name: z.string() });
const payload = z.object({ data: z.string() });
const eventShape = z.looseObject({
  eventType: z.string(),
  workflowExecutionStartedEventAttributes: z.looseObject({ workflowType: named }).optional(),
  activityTaskScheduledEventAttributes: z.looseObject({ activityType: named }).optional(),
  workflowExecutionSignaledEventAttributes: z.looseObject({ signalName: z.string() }).optional(),
  workflowExecutionUpdateAcceptedEventAttributes: z
    .looseObject({ acceptedRequest: z.looseObject({ input: named }) })
    .optional(),
  upsertWorkflowSearchAttributesEventAttributes: z
    .looseObject({ searchAttributes: z.object({ indexedFields: z.record(z.string(), payload) }) })
    .optional(),
});
const historyShape = z.object({ events: z.array(eventShape) });

/** Every run that ended or waits on a test's own queues. */
export async function historiesOf(temporal: TestTemporal): Promise<readonly RecordedHistory[]> {
  const queues = Object.values(taskQueues(temporal.taskQueuePrefix));
  const query = `TaskQueue IN (${queues.map((queue) => `'${queue}'`).join(", ")})`;
  const histories: RecordedHistory[] = [];
  for await (const { workflowId, runId } of temporal.client.workflow.list({ query })) {
    const history = await temporal.client.workflow.getHandle(workflowId, runId).fetchHistory();
    const json = withoutPlace(JSON.parse(historyToJSON(history)), temporal.taskQueuePrefix);
    histories.push({ workflowId, path: pathOf(json), json });
  }
  return histories;
}

/** Who ran it and where is nobody's business, and would differ each time. */
function withoutPlace(value: unknown, queuePrefix: string): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, item: unknown) =>
      key === "identity" || key === "stackTrace" ? "" : item,
    ).replaceAll(queuePrefix, ""),
  );
}

function pathOf(json: unknown): string {
  const steps = historyShape.parse(json).events.flatMap((event): string[] => {
    const upserted = event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes.indexedFields;
    if (upserted !== undefined) {
      const text = (name: string) => Buffer.from(upserted[name]?.data ?? "", "base64").toString();
      const attention = text("CfNeedsAttention") === "true" ? " needing attention" : "";
      return [`${text("CfOrderStatus").replaceAll('"', "")}${attention}`];
    }
    const started = event.workflowExecutionStartedEventAttributes?.workflowType.name;
    const update = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest.input.name;
    const step =
      started ??
      event.activityTaskScheduledEventAttributes?.activityType.name ??
      update ??
      (event.eventType === "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW" ? "continued" : undefined) ??
      (event.eventType === "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED" ? "ended" : undefined);
    return step === undefined ? [] : [step];
  });
  return steps
    .filter((step, index) => step !== steps[index - 1])
    .join(" ")
    .slice(0, 160);
}

/**
 * A replay takes milliseconds. One that says nothing for so long has lost the answer of its workflow ("This is an SDK bug",
 * the SDK's core says of it), and no server is there to ask again: it is asked again here. What does not replay, fails each
 * time.
 */
const silenceSeconds = 20;
const attemptsMaximum = 3;

/** @returns what did not replay, and why; empty is good. */
export async function findReplayFailures(
  bundle: WorkflowBundleWithSourceMap,
  histories: readonly RecordedHistory[],
): Promise<readonly { readonly path: string; readonly error: string }[]> {
  const errors: (string | null)[] = [];
  while (errors.length < histories.length) {
    errors.push(...(await replay(bundle, histories.slice(errors.length))));
    const silent = histories[errors.length];
    if (silent !== undefined) errors.push(await replayAgain(bundle, silent));
  }
  return histories.flatMap(({ path: of }, index) => {
    const error = errors[index] ?? null;
    return error === null ? [] : [{ path: of, error }];
  });
}

async function replayAgain(
  bundle: WorkflowBundleWithSourceMap,
  history: RecordedHistory,
): Promise<string | null> {
  for (let attempt = 2; attempt <= attemptsMaximum; attempt += 1) {
    const [error] = await replay(bundle, [history]);
    if (error !== undefined) return error;
  }
  return `nothing was heard of it; it ends with ${lastEventsOf(history)}`;
}

/** @returns of each history why it did not replay, or null; fewer than were given when one of them says nothing. */
async function replay(
  bundle: WorkflowBundleWithSourceMap,
  histories: readonly RecordedHistory[],
): Promise<readonly (string | null)[]> {
  const results = Worker.runReplayHistories(
    { workflowBundle: bundle },
    histories.map(({ workflowId, json }) => ({ workflowId, history: json })),
  );
  const heard: (string | null)[] = [];
  while (heard.length < histories.length) {
    const result = await Promise.race([results.next(), pause(silenceSeconds * 1_000, null, { ref: false })]);
    // The worker that is silent cannot be stopped either.
    if (result === null || result.done === true) return heard;
    heard.push(result.value.error?.message ?? null);
  }
  await results.return?.();
  return heard;
}

function lastEventsOf({ json }: RecordedHistory): string {
  const { events } = historyShape.parse(json);
  return events
    .slice(-6)
    .map(({ eventType }) => eventType)
    .join(", ");
}

/**
 * One history of each path, written over what was recorded before under the same path; only when the environment asks for
 * it (`CREATORFLOW_RECORD_HISTORIES=yes`), since recorded is what a released version did.
 */
export async function recordWhenAsked(histories: readonly RecordedHistory[]): Promise<void> {
  if (process.env["CREATORFLOW_RECORD_HISTORIES"] !== "yes") return;
  const byPath = new Map(histories.map((history) => [history.path, history]));
  for (const history of byPath.values()) {
    const file = `${history.path.replaceAll(/[^a-zA-Z0-9]+/g, "-").toLowerCase()}.json`;
    await fs.writeFile(path.join(folder, file), `${JSON.stringify(history)}\n`);
  }
}

export async function readRecordedHistories(): Promise<readonly RecordedHistory[]> {
  const files = (await fs.readdir(folder)).filter((file) => file.endsWith(".json"));
  return await Promise.all(
    files.map(async (file) => {
      const text = await fs.readFile(path.join(folder, file), "utf8");
      return z
        .object({ workflowId: z.string(), path: z.string(), json: z.unknown() })
        .parse(JSON.parse(text));
    }),
  );
}

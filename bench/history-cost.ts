import type { Client, WorkflowHandle } from "@temporalio/client";

/** What a workflow has cost the Temporal server, counted from its history. */
export interface HistoryCost {
  readonly events: number;
  /** As Temporal Cloud would bill them; `events` is not among them. */
  readonly actions: Readonly<Record<ActionKind, number>>;
  /** Local activities run; they are billed by the workflow tasks that carry them. */
  readonly localActivities: number;
}

export const actionKinds = [
  "starts",
  "signals",
  "updates",
  "timers",
  "activities",
  "search attributes",
  "tasks with local activities",
] as const;
export type ActionKind = (typeof actionKinds)[number];

type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle["fetchHistory"]>>["events"]>[number];

const localActivityMarker = "core_local_activity";

/**
 * Reads a run's history and counts.
 *
 * @param since milliseconds since the epoch; events before it are somebody else's cost.
 */
export async function costOfRun(
  client: Client,
  workflowId: string,
  runId: string,
  since: number,
): Promise<HistoryCost> {
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  return costOfEvents((events ?? []).filter((event) => timeOf(event) >= since));
}

function costOfEvents(events: readonly HistoryEvent[]): HistoryCost {
  const actions = noActions();
  const tasksWithLocalActivities = new Set<string>();
  let localActivities = 0;
  for (const event of events) {
    if (event.workflowExecutionStartedEventAttributes) actions.starts += 1;
    if (event.workflowExecutionSignaledEventAttributes) actions.signals += 1;
    if (event.workflowExecutionUpdateAcceptedEventAttributes) actions.updates += 1;
    if (event.timerStartedEventAttributes) actions.timers += 1;
    // An activity is billed for each attempt, and only the one that ended it is in the history.
    if (event.activityTaskStartedEventAttributes)
      actions.activities += event.activityTaskStartedEventAttributes.attempt ?? 1;
    if (event.upsertWorkflowSearchAttributesEventAttributes) actions["search attributes"] += 1;
    const marker = event.markerRecordedEventAttributes;
    if (marker?.markerName === localActivityMarker) {
      localActivities += 1;
      tasksWithLocalActivities.add(String(marker.workflowTaskCompletedEventId));
    }
  }
  actions["tasks with local activities"] = tasksWithLocalActivities.size;
  return { events: events.length, actions, localActivities };
}

export function actionsOf(cost: HistoryCost): number {
  return Object.values(cost.actions).reduce((sum, count) => sum + count, 0);
}

/** Several runs taken together. */
export function sumOfCosts(costs: readonly HistoryCost[]): HistoryCost {
  const actions = noActions();
  let events = 0;
  let localActivities = 0;
  for (const cost of costs) {
    events += cost.events;
    localActivities += cost.localActivities;
    for (const kind of actionKinds) actions[kind] += cost.actions[kind];
  }
  return { events, actions, localActivities };
}

function noActions(): Record<ActionKind, number> {
  return {
    starts: 0,
    signals: 0,
    updates: 0,
    timers: 0,
    activities: 0,
    "search attributes": 0,
    "tasks with local activities": 0,
  };
}

function timeOf(event: HistoryEvent): number {
  const { seconds, nanos } = event.eventTime ?? {};
  return Number(seconds ?? 0) * 1_000 + (nanos ?? 0) / 1_000_000;
}

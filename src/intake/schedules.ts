import { ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from "@temporalio/client";
import { type ConnectedShop, listShops } from "../db/shops.ts";
import {
  inventorySyncScheduleId,
  orderSyncScheduleId,
  priorities,
  stockProofScheduleId,
  taskQueues,
} from "../workflows/addressing.ts";
import {
  type InventorySyncInput,
  type OrderSyncInput,
  type ProofInput,
  searchAttributes,
} from "../workflows/messages.ts";
import type { IntakeDependencies } from "./dependencies.ts";

/**
 * Makes the schedules what they should be: the nightly proof has one, each connected shop one for its orders and one for its
 * stock, with the wanted intervals; a shop that is not connected has none. Looked at again and again, so that a Temporal server that has lost everything gets them back.
 * Several processes may do this at once: who comes second finds it done.
 *
 * @returns how many schedules were made, changed or removed.
 */
export async function keepSchedules(dependencies: IntakeDependencies): Promise<number> {
  let changed = (await keepSchedule(dependencies, wantedProof(dependencies))) ? 1 : 0;
  for (const shop of await listShops(dependencies.db, "connected")) {
    for (const wanted of wantedSchedules(dependencies, shop)) {
      if (await keepSchedule(dependencies, wanted)) changed += 1;
    }
  }
  for (const shop of await listShops(dependencies.db, "disconnected")) {
    for (const { scheduleId } of wantedSchedules(dependencies, shop)) {
      if (await removeSchedule(dependencies, scheduleId)) changed += 1;
    }
  }
  return changed;
}

async function keepSchedule({ client }: IntakeDependencies, wanted: WantedSchedule): Promise<boolean> {
  const { scheduleId } = wanted;
  const known = await ifFound(client.schedule.getHandle(scheduleId).describe());
  if (known === null) {
    try {
      const state = { note: wanted.note, triggerImmediately: wanted.beginsAtOnce };
      await client.schedule.create({ scheduleId, ...wanted.schedule, state });
      return true;
    } catch (error) {
      if (error instanceof ScheduleAlreadyRunning) return false;
      throw error;
    }
  }
  if (known.state.note === wanted.note) return false;
  await client.schedule.getHandle(scheduleId).update(({ state }) => ({
    ...wanted.schedule,
    // Who has paused it by hand keeps it paused.
    state: { ...state, note: wanted.note },
  }));
  return true;
}

async function removeSchedule({ client }: IntakeDependencies, scheduleId: string): Promise<boolean> {
  const removed = client.schedule.getHandle(scheduleId).delete();
  return (await ifFound(removed.then(() => true))) ?? false;
}

type WantedSchedule = ReturnType<typeof wantedSchedule> | ReturnType<typeof wantedProof>;

function wantedSchedules(dependencies: IntakeDependencies, shop: ConnectedShop): readonly WantedSchedule[] {
  return [
    wantedSchedule(dependencies, shop, {
      scheduleId: orderSyncScheduleId(shop.shopId),
      workflowType: "tiktokOrderSync",
      every: dependencies.orderSyncMilliseconds,
      does: "Polls the orders",
    }),
    wantedSchedule(dependencies, shop, {
      scheduleId: inventorySyncScheduleId(shop.shopId),
      workflowType: "tiktokInventorySync",
      every: dependencies.inventorySyncMilliseconds,
      does: "Looks at the stock",
    }),
  ];
}

/** However fast time passes: a proof reads everything. */
const proofMillisecondsMinimum = 900_000;

/** At night, when least is under way. The note says what a schedule was made from: another note, and it is brought up to date. */
function wantedProof({ queuePrefix, timeScale }: IntakeDependencies) {
  const taskQueue = taskQueues(queuePrefix).orders;
  const input: ProofInput = queuePrefix === "" ? {} : { queuePrefix };
  const scheduleId = stockProofScheduleId(queuePrefix);
  return {
    scheduleId,
    note: `Proves the stock every night, time passing ${timeScale} times as fast, on ${taskQueue}`,
    beginsAtOnce: false,
    schedule: {
      spec:
        timeScale === 1
          ? { calendars: [{ hour: 3, minute: 30 }] }
          : {
              intervals: [{ every: Math.max(proofMillisecondsMinimum, Math.round(86_400_000 / timeScale)) }],
            },
      action: {
        type: "startWorkflow" as const,
        workflowType: "stockProof",
        workflowId: scheduleId,
        taskQueue,
        args: [input],
        priority: { priorityKey: priorities.bulk },
      },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: "12 hours" as const },
    },
  };
}

function wantedSchedule(
  { queuePrefix }: IntakeDependencies,
  shop: ConnectedShop,
  wish: {
    readonly scheduleId: string;
    readonly workflowType: string;
    /** Milliseconds. */
    readonly every: number;
    readonly does: string;
  },
) {
  const input: OrderSyncInput & InventorySyncInput = {
    ...shop,
    ...(queuePrefix === "" ? {} : { queuePrefix }),
  };
  const taskQueue = taskQueues(queuePrefix).orders;
  return {
    scheduleId: wish.scheduleId,
    note: `${wish.does} every ${wish.every} ms on ${taskQueue}`,
    // Until now nobody has looked for what the webhooks missed.
    beginsAtOnce: true,
    schedule: {
      spec: {
        intervals: [{ every: wish.every }],
        // Many shops do not ask in the same second.
        jitter: Math.min(30_000, Math.round(wish.every / 10)),
      },
      action: {
        type: "startWorkflow" as const,
        workflowType: wish.workflowType,
        workflowId: wish.scheduleId,
        taskQueue,
        args: [input],
        typedSearchAttributes: [{ key: searchAttributes.shop, value: shop.shopId }],
        priority: { priorityKey: priorities.schedules, fairnessKey: shop.tenantId },
      },
      // A pass looks at everything, or from its cursor on: one that was missed or still runs needs no second beside it.
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: "1 minute" as const },
    },
  };
}

async function ifFound<Answer>(asking: Promise<Answer>): Promise<Answer | null> {
  try {
    return await asking;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}

import { ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from "@temporalio/client";
import { type ConnectedShop, listShops } from "../db/shops.ts";
import {
  inventorySyncScheduleId,
  orderSyncScheduleId,
  priorities,
  taskQueues,
} from "../workflows/addressing.ts";
import { type InventorySyncInput, type OrderSyncInput, searchAttributes } from "../workflows/messages.ts";
import type { IntakeDependencies } from "./dependencies.ts";

/**
 * Makes the schedules what they should be: each connected shop has one for its orders and one for its stock, with the wanted
 * intervals; a shop that is not connected has none. Looked at again and again, so that a Temporal server that has lost everything gets them back.
 * Several processes may do this at once: who comes second finds it done.
 *
 * @returns how many schedules were made, changed or removed.
 */
export async function keepSchedules(dependencies: IntakeDependencies): Promise<number> {
  let changed = 0;
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
      // The first pass comes at once: until now nobody has looked for what the webhooks missed.
      const state = { note: wanted.note, triggerImmediately: true };
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

type WantedSchedule = ReturnType<typeof wantedSchedule>;

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

/** The schedule and a note that says what it was made from: another note, and it is brought up to date. */
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

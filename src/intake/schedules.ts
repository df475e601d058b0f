import { ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from "@temporalio/client";
import { type ConnectedShop, listShops } from "../db/shops.ts";
import { orderSyncScheduleId, priorities, taskQueues } from "../workflows/addressing.ts";
import { type OrderSyncInput, searchAttributes } from "../workflows/messages.ts";
import type { IntakeDependencies } from "./dependencies.ts";

/**
 * Makes the schedules what they should be: each connected shop has one with the wanted interval, a shop that is not
 * connected has none. Looked at again and again, so that a Temporal server that has lost everything gets them back.
 * Several processes may do this at once: who comes second finds it done.
 *
 * @returns how many schedules were made, changed or removed.
 */
export async function keepSchedules(dependencies: IntakeDependencies): Promise<number> {
  let changed = 0;
  for (const shop of await listShops(dependencies.db, "connected")) {
    if (await keepSchedule(dependencies, shop)) changed += 1;
  }
  for (const shop of await listShops(dependencies.db, "disconnected")) {
    if (await removeSchedule(dependencies, shop)) changed += 1;
  }
  return changed;
}

async function keepSchedule(dependencies: IntakeDependencies, shop: ConnectedShop): Promise<boolean> {
  const { client } = dependencies;
  const scheduleId = orderSyncScheduleId(shop.shopId);
  const wanted = wantedSchedule(dependencies, shop);
  const known = await ifFound(client.schedule.getHandle(scheduleId).describe());
  if (known === null) {
    try {
      // The first poll comes at once: until now nobody has looked for what the webhooks missed.
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

async function removeSchedule({ client }: IntakeDependencies, shop: ConnectedShop): Promise<boolean> {
  const removed = client.schedule.getHandle(orderSyncScheduleId(shop.shopId)).delete();
  return (await ifFound(removed.then(() => true))) ?? false;
}

/** The schedule and a note that says what it was made from: another note, and it is brought up to date. */
function wantedSchedule({ orderSyncMilliseconds, queuePrefix }: IntakeDependencies, shop: ConnectedShop) {
  const input: OrderSyncInput = { ...shop, ...(queuePrefix === "" ? {} : { queuePrefix }) };
  const taskQueue = taskQueues(queuePrefix).orders;
  return {
    note: `Polls the orders every ${orderSyncMilliseconds} ms on ${taskQueue}`,
    schedule: {
      spec: {
        intervals: [{ every: orderSyncMilliseconds }],
        // Many shops do not poll in the same second.
        jitter: Math.min(30_000, Math.round(orderSyncMilliseconds / 10)),
      },
      action: {
        type: "startWorkflow" as const,
        workflowType: "tiktokOrderSync",
        workflowId: orderSyncScheduleId(shop.shopId),
        taskQueue,
        args: [input],
        typedSearchAttributes: [{ key: searchAttributes.shop, value: shop.shopId }],
        priority: { priorityKey: priorities.schedules, fairnessKey: shop.tenantId },
      },
      // A poll reads from its cursor, so one that was missed or is still running needs no second beside it.
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

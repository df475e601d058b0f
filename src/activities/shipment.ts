import { activityInfo, ApplicationFailure } from "@temporalio/activity";
import { ApplicationFailureCategory } from "@temporalio/common";
import { setTimeout as wait } from "node:timers/promises";
import { createCoalescer } from "../coalescer.ts";
import { crashPoint } from "../crash-points.ts";
import { beginEffects, finishEffects, withdrawEffects } from "../db/effects.ts";
import { Rushes } from "../db/rushes.ts";
import { withTenant } from "../db/tenant.ts";
import type { ChannelPackageId } from "../domain/ids.ts";
import type { ChannelOrder } from "../domain/order/channel-order.ts";
import type { ShipmentResult } from "../domain/order/decide.ts";
import { isArranged } from "../domain/order/transitions.ts";
import { ChannelFailure } from "../integrations/ports/failure.ts";
import type { ItemResult, ShopKey } from "../integrations/ports/sales-channel.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import { asActivityFailure } from "./failures.ts";
import type { CancelRequestToChannel, CancelResult, OrderKey, ShipmentRequest } from "./order-report.ts";

/** TikTok Shop arranges at most 50 packages a call. */
const packagesPerCallMaximum = 50;
/** Company is worth a second: a call costs the shop's budget the same for one package and for fifty. */
const lingerMilliseconds = 1_000;
/** How long a call of ours waits for the shop's budget, holding its orders' slots, before they come again by themselves. */
const budgetWaitMaximum = 2_000;
/** How long shipping waits in a rush, and how soon it asks whether the rush is over. Milliseconds. */
const rushWait = { maximum: 60_000, betweenLooks: 10_000 } as const;

/** One package of an order. Each is an effect of its own, since an order may have more of them than one call takes. */
interface PackageRequest extends OrderKey {
  readonly packageId: ChannelPackageId;
  /** When the order first asked, in milliseconds since 1970. */
  readonly askedAt: number;
}

export function createShipmentActivities({ db, channel }: Pick<ActivityDependencies, "db" | "channel">) {
  const rushes = new Rushes();
  const arrange = createCoalescer<PackageRequest, ShipmentResult>({
    itemsMaximum: packagesPerCallMaximum,
    lingerMilliseconds,
    send: async (_shopId, requests) => {
      await leaveToNewOrders(requests);
      const results = await arrangeOnce(requests);
      return requests.map((request) => {
        const result = results.get(effectKeyOf(request));
        if (result === undefined) throw new Error(`No result for package ${request.packageId}`);
        return result;
      });
    },
  });

  /** Shipping is due within days, a unit that is not reserved may be sold again now: in a rush it waits, but not for ever. */
  async function leaveToNewOrders(requests: readonly PackageRequest[]): Promise<void> {
    const [first] = requests;
    if (first === undefined) return;
    const { tenantId, shopId } = first;
    const rush = await rushes.look(db, { tenantId, shopId });
    const waited = Date.now() - Math.min(...requests.map(({ askedAt }) => askedAt));
    if (!rush || waited > rushWait.maximum) return;
    throw ApplicationFailure.create({
      type: "rush",
      category: ApplicationFailureCategory.BENIGN,
      message: "Shipping waits until the shop's new orders are decided about",
      nextRetryDelay: rushWait.betweenLooks,
    });
  }

  /**
   * The channel has no idempotency key: what is about to be asked is written down first, and a package whose earlier
   * attempt has no known outcome is read back before anything is asked again.
   */
  async function arrangeOnce(
    requests: readonly PackageRequest[],
  ): Promise<ReadonlyMap<string, ShipmentResult>> {
    const byKey = new Map(requests.map((request) => [effectKeyOf(request), request]));
    const [first] = requests;
    if (first === undefined) return new Map();
    const shop: ShopKey = { tenantId: first.tenantId, shopId: first.shopId };
    const effects = await withTenant(db, shop.tenantId, (transaction) =>
      beginEffects<ShipmentResult>(
        transaction,
        shop.tenantId,
        "ship",
        [...byKey.keys()].map((key) => ({ key, input: key })),
      ),
    );
    const results = new Map<string, ShipmentResult>();
    const unclear: PackageRequest[] = [];
    const open: PackageRequest[] = [];
    for (const [key, request] of byKey) {
      const effect = effects.get(key);
      if (effect?.state === "finished") results.set(key, effect.result);
      else if (effect?.state === "unclear") unclear.push(request);
      else open.push(request);
    }
    const arranged = await findArranged(shop, unclear);
    const asked = [...open, ...unclear.filter((request) => !arranged.has(request))];
    const ended = new Map<string, ShipmentResult>();
    for (const request of arranged) ended.set(effectKeyOf(request), arrangedResult(request));
    for (const [request, result] of await ask(shop, asked)) ended.set(effectKeyOf(request), result);
    crashPoint("shipment: channel asked, result not recorded");
    await withTenant(db, shop.tenantId, (transaction) =>
      finishEffects(
        transaction,
        [...ended].map(([key, result]) => ({ key, state: result.arranged ? "done" : "refused", result })),
      ),
    );
    crashPoint("shipment: result recorded, not answered");
    return new Map([...results, ...ended]);
  }

  async function ask(
    shop: ShopKey,
    requests: readonly PackageRequest[],
  ): Promise<ReadonlyMap<PackageRequest, ShipmentResult>> {
    if (requests.length === 0) return new Map();
    crashPoint("shipment: written down, channel not asked");
    const answers = await callForPackages(
      shop,
      requests.map(({ packageId }) => packageId),
    ).catch(async (error: unknown) => {
      if (error instanceof ChannelFailure && !error.effectUnknown) {
        await withTenant(db, shop.tenantId, (transaction) =>
          withdrawEffects(transaction, requests.map(effectKeyOf)),
        );
      }
      throw error;
    });
    const byPackage = new Map(answers.map((answer) => [answer.key, answer]));
    const refusals = new Map<PackageRequest, string>();
    for (const request of requests) {
      const answer = byPackage.get(request.packageId);
      if (answer?.ok === true) continue;
      refusals.set(
        request,
        answer === undefined
          ? `The channel said nothing of package ${request.packageId}`
          : `${answer.message} (${answer.channelCode})`,
      );
    }
    // "Already shipped" comes as a refusal, in words that change: the order itself tells.
    const arranged = await findArranged(shop, [...refusals.keys()]);
    return new Map(
      requests.map((request) => {
        const reason = refusals.get(request);
        return reason === undefined || arranged.has(request)
          ? [request, arrangedResult(request)]
          : [request, { arranged: false, reason }];
      }),
    );
  }

  /** Out of budget, the call waits here and its orders gather: one that waits costs less than fifty that come again. */
  async function callForPackages(
    shop: ShopKey,
    packageIds: readonly ChannelPackageId[],
  ): Promise<readonly ItemResult<ChannelPackageId>[]> {
    const giveUpAt = Date.now() + budgetWaitMaximum;
    while (true) {
      try {
        return await arrangeTogether(shop, packageIds);
      } catch (error) {
        const retryAt = error instanceof ChannelFailure ? error.retryAt : null;
        if (retryAt === null || retryAt > giveUpAt) throw error;
        await wait(Math.max(50, retryAt - Date.now()));
      }
    }
  }

  /** A refusal of the whole call may be one package's fault: then each is asked for alone, and only it is refused. */
  async function arrangeTogether(
    shop: ShopKey,
    packageIds: readonly ChannelPackageId[],
  ): Promise<readonly ItemResult<ChannelPackageId>[]> {
    try {
      return await channel.arrangeShipments(shop, packageIds);
    } catch (error) {
      if (!(error instanceof ChannelFailure) || error.kind !== "refused") throw error;
      if (packageIds.length === 1) {
        const refused = {
          ok: false,
          channelCode: error.channelCode ?? "refused",
          message: error.message,
        } as const;
        return packageIds.map((key) => ({ key, ...refused }));
      }
      const results: ItemResult<ChannelPackageId>[] = [];
      for (const packageId of packageIds) {
        try {
          results.push(...(await callForPackages(shop, [packageId])));
        } catch (later) {
          // Some have left by now: of the rest the outcome is unclear, and their orders are read back before they come again.
          throw new ChannelFailure(
            "unavailable",
            `Asked one by one, ${results.length} packages in: ${String(later)}`,
            {
              cause: later,
            },
          );
        }
      }
      return results;
    }
  }

  /** Which of the packages the channel itself says are arranged or further. */
  async function findArranged(
    shop: ShopKey,
    requests: readonly PackageRequest[],
  ): Promise<ReadonlySet<PackageRequest>> {
    if (requests.length === 0) return new Set();
    const orderIds = [...new Set(requests.map(({ orderId }) => orderId))];
    const fetched = await channel.fetchOrders(shop, orderIds, 1);
    const orders = new Map(fetched.map(({ order }) => [order.orderId, order]));
    return new Set(
      requests.filter(({ orderId, packageId }) => {
        const order = orders.get(orderId);
        return order !== undefined && isPackageArranged(order, packageId);
      }),
    );
  }

  return {
    /** Arranges the shipment of an order's packages with the channel, each once, together with other orders' in one call. */
    async arrangeShipment({ packageIds, ...order }: ShipmentRequest): Promise<ShipmentResult> {
      const { scheduledTimestampMs: askedAt } = activityInfo();
      // All are waited for, so that trying again does not meet packages that are still being asked for.
      const outcomes = await Promise.allSettled(
        packageIds.map((packageId) => arrange(order.shopId, { ...order, packageId, askedAt })),
      );
      const results = outcomes.map((outcome) => {
        if (outcome.status === "rejected") throw asActivityFailure(outcome.reason);
        return outcome.value;
      });
      return results.find(({ arranged }) => !arranged) ?? { arranged: true, packageIds };
    },

    /** Cancels the order at the channel as its seller. Asking again for an order that is cancelled is accepted. */
    async cancelAtChannel({ reason, ...order }: CancelRequestToChannel): Promise<CancelResult> {
      try {
        crashPoint("cancellation: decided, channel not asked");
        await channel.cancelOrder(order, order.orderId, reason);
        crashPoint("cancellation: channel asked, not answered");
        return { accepted: true };
      } catch (error) {
        if (!(error instanceof ChannelFailure) || error.kind !== "refused") throw asActivityFailure(error);
        const [fetched] = await channel.fetchOrders(order, [order.orderId], 1);
        return fetched?.order.status === "cancelled"
          ? { accepted: true }
          : { accepted: false, reason: error.message };
      }
    },
  };
}

function effectKeyOf({ shopId, orderId, packageId }: PackageRequest): string {
  return `ship/${shopId}/${orderId}/${packageId}`;
}

function arrangedResult({ packageId }: PackageRequest): ShipmentResult {
  return { arranged: true, packageIds: [packageId] };
}

/** While only some of an order's packages are arranged, its lines tell which. */
function isPackageArranged(order: ChannelOrder, packageId: ChannelPackageId): boolean {
  return (
    isArranged(order.status) ||
    order.lines.some((line) => line.packageId === packageId && isArranged(line.status))
  );
}

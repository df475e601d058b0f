import { crashPoint } from "../crash-points.ts";
import { findComparedSince } from "../db/comparisons.ts";
import { saveDecision } from "../db/order-decisions.ts";
import { findChannelTime } from "../db/order-snapshots.ts";
import { type LockedOrder, lockOrder } from "../db/orders.ts";
import { appendToOutbox, type MessageToAppend } from "../db/outbox.ts";
import { type TenantTransaction, withTenant } from "../db/tenant.ts";
import { isRefusal, type Refusal } from "../domain/decision.ts";
import type { SkuId, TenantId } from "../domain/ids.ts";
import { commandsFor } from "../domain/order/commands.ts";
import {
  type CancelRefusal,
  type OrderDecision,
  receiveOrder,
  requestCancel,
  takeCancelAnswer,
  takeShipment,
  takeSnapshot,
} from "../domain/order/decide.ts";
import {
  type LineAnswer,
  takeLeftShort,
  takeServed,
  takeStockAnswers,
} from "../domain/order/stock-answers.ts";
import { type OrderEvent, tellsHandOver } from "../domain/order/events.ts";
import {
  holdOf,
  isOver,
  needsAttention,
  nextStepOf,
  type OrderState,
  isResolved,
  orderSummaryOf,
  skusGivenUp,
} from "../domain/order/order.ts";
import { committedStatuses } from "../domain/order/transitions.ts";
import { chooseCourse, type ShortageRefusal, takeShortage, waitsUntil } from "../domain/order/shortage.ts";
import { comparisonTimeFor, soonComparedAt } from "../domain/stock/offer.ts";
import type { StockAnswer } from "../domain/stock/operation.ts";
import { savePackages } from "../db/packages.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import type { OrderKey, OrderReport, OrderStep, StockRequest, StockSettlement } from "./order-report.ts";

export function createOrderActivities(
  { db }: ActivityDependencies,
  requestStock: (request: StockRequest) => Promise<readonly StockAnswer[]>,
) {
  async function advanceOrder({
    report,
    ...key
  }: OrderKey & { readonly report: OrderReport }): Promise<OrderStep> {
    const step = await withTenant(db, key.tenantId, async (transaction): Promise<OrderStep> => {
      const order = await lockOrder(transaction, key.shopId, key.orderId);
      if (order === null) {
        return { view: null, commands: [], cancelRefusal: null, shortageRefusal: null };
      }
      return await advance(transaction, key.tenantId, order, report);
    });
    crashPoint("order: decision committed, not answered");
    return step;
  }

  return {
    /**
     * Decides what follows from what happened to an order, writes it down, and says what to do next. One transaction under
     * the order's lock; telling it the same again changes nothing.
     */
    advanceOrder,

    /**
     * Asks the SKUs' entities for what an order wants of the stock, decides about the answers, and says what to do next.
     * The operations carry ids from the order: asked again, they get the same answers.
     */
    async settleStock({ wanted, ...key }: StockSettlement): Promise<OrderStep> {
      const answers = await requestStock({
        tenantId: key.tenantId,
        operations: wanted.map(({ skuId, operation }) => ({ skuId, operation })),
      });
      const stock = wanted.map(({ lineId, operation }, index) => {
        const answer = answers[index];
        if (answer === undefined) throw new Error(`No answer for line ${lineId}`);
        return { lineId, operation, answer };
      });
      return await advanceOrder({ ...key, report: { stock } });
    },
  };
}

async function advance(
  transaction: TenantTransaction,
  tenantId: TenantId,
  order: LockedOrder,
  report: OrderReport,
): Promise<OrderStep> {
  const { latest } = order;
  const events: OrderEvent[] = [];
  let state = order.state;
  const take = (decision: OrderDecision) => {
    state = decision.state;
    events.push(...decision.events);
    return decision.state;
  };

  if (state === null) {
    if (latest === null) throw new Error(`Order ${order.id} has no snapshot`);
    take(receiveOrder(latest.snapshot, latest.context));
  } else {
    // What was done is taken in before what is new: an answer belongs to the state that asked for it.
    takeResults(state, report, take);
    if (latest !== null) take(takeSnapshot(state, latest.snapshot, latest.context));
  }
  if (state === null) throw new Error(`Order ${order.id} was decided without a state`);

  // Looked at in every round: a line whose waking came before its "short" was written down would wait for ever.
  take(takeLeftShort(state, order));
  if (state.lines.some((line) => line.stage === "short")) take(takeServed(state, order.held));
  const shortageRefusal = takeShortageWish(state, report, take);
  take(takeShortage(state, { policy: order.shortagePolicy, now: order.now }));
  const cancelRefusal = takeWish(state, report, take);

  await saveDecision(transaction, tenantId, order, {
    state,
    events,
    handledVersion: order.snapshotVersion,
    cause: latest?.cause ?? causeOf(report),
  });
  await causeEffects(transaction, tenantId, order, { state, events });
  crashPoint("order: decision written, not committed");
  const commands = commandsFor(state);
  return { view: viewOf(state, commands.length === 0), commands, cancelRefusal, shortageRefusal };
}

function takeResults(
  order: OrderState,
  report: OrderReport,
  take: (decision: OrderDecision) => OrderState,
): void {
  let state = order;
  if (report.stock !== undefined) state = take(takeStockAnswers(state, report.stock.map(lineAnswerOf)));
  if (report.shipment !== undefined) state = take(takeShipment(state, report.shipment));
  if (report.cancelResult !== undefined) take(takeCancelAnswer(state, report.cancelResult));
}

function lineAnswerOf({ lineId, operation, answer }: NonNullable<OrderReport["stock"]>[number]): LineAnswer {
  const paidAt =
    operation.kind === "reserve"
      ? operation.rank.paidAt
      : operation.kind === "rank"
        ? operation.paidAt
        : null;
  return { lineId, generation: operation.claim.generation, operation: operation.kind, answer, paidAt };
}

function takeWish(
  state: OrderState,
  report: OrderReport,
  take: (decision: OrderDecision) => OrderState,
): Refusal<CancelRefusal> | null {
  if (report.cancelWish === undefined) return null;
  const decision = requestCancel(state, report.cancelWish);
  if (isRefusal<CancelRefusal>(decision)) return decision;
  take(decision);
  return null;
}

function takeShortageWish(
  state: OrderState,
  report: OrderReport,
  take: (decision: OrderDecision) => OrderState,
): Refusal<ShortageRefusal> | null {
  if (report.shortageWish === undefined) return null;
  const decision = chooseCourse(state, report.shortageWish);
  if (isRefusal<ShortageRefusal>(decision)) return decision;
  take(decision);
  return null;
}

function causeOf(report: OrderReport): string {
  if (report.stock !== undefined) return "stock";
  if (report.cancelWish !== undefined || report.shortageWish !== undefined) return "person";
  if (report.shipment !== undefined || report.cancelResult !== undefined) return "channel";
  return "news";
}

/** What the order's events cause outside of its workflow goes into the outbox of the same transaction. */
async function causeEffects(
  transaction: TenantTransaction,
  tenantId: TenantId,
  order: LockedOrder,
  { state, events }: OrderDecision,
): Promise<void> {
  const reference = { orderId: order.id, orderRef: `${order.shopId}/${order.channelOrderId}` };
  // One that came closed or gone was left out by nobody.
  const cameWithoutSale =
    order.state === null && order.snapshotVersion === 1 && !committedStatuses.includes(state.channelStatus);
  const givenUp = cameWithoutSale ? [] : skusGivenUp(order.state, state);
  const messages = givenUp.map((skuId) => compareGivenUp(skuId, order));
  for (const event of events) {
    // The channel counts the units as gone, which for us were under way, still here, or unknown until now.
    if (tellsHandOver(event) && order.latest !== null) {
      // When it was handed over nobody says: its newest change may be a later one.
      const known = await findChannelTime(transaction, order.id, order.handledVersion);
      const unchangedAt = known ?? order.latest.snapshot.createdAt;
      const compared = await findComparedSince(transaction, order.id, unchangedAt);
      messages.push(...compared.map((skuId) => compareOffer(skuId, order, state)));
    }
    if (event.kind === "status_changed" && (event.to === "in_transit" || event.to === "delivered")) {
      messages.push({ kind: "fetch_tracking", key: `${order.id}/${event.to}`, payload: reference });
    }
    // Whether our own shipment or the channel's news of it came first, the packages and their labels are wanted.
    if (event.kind === "lines_left") {
      const packageIds = packagesOf(state, event.lineIds);
      if (packageIds.length > 0) await savePackages(transaction, tenantId, order.id, packageIds);
      for (const packageId of packageIds) {
        messages.push({
          kind: "fetch_document",
          key: `${order.id}/${packageId}`,
          payload: { ...reference, packageId },
        });
      }
    }
  }
  await appendToOutbox(transaction, tenantId, messages);
}

/**
 * Nothing else would look at the offer again. Soon when our stock knows that the units are gone; before, a look would offer them
 * once more, so it waits until the order has told.
 */
function compareOffer(skuId: SkuId, order: LockedOrder, state: OrderState): MessageToAppend {
  const now = Date.parse(order.now);
  if (isResolved(state)) return compareAt(soonComparedAt(now), skuId, `handed over/${order.id}`);
  const later = comparisonTimeFor(now);
  return compareAt(later, skuId, `late news/${later}`);
}

/** One comparison for all that is given up of a SKU within a second. */
function compareGivenUp(skuId: SkuId, order: LockedOrder): MessageToAppend {
  const soon = soonComparedAt(Date.parse(order.now));
  return compareAt(soon, skuId, `given up/${soon}`);
}

function compareAt(time: number, skuId: SkuId, cause: string): MessageToAppend {
  return {
    kind: "push_offer",
    key: `${skuId}/${cause}`,
    payload: { skuId },
    notBefore: new Date(time).toISOString(),
  };
}

function packagesOf(state: OrderState, lineIds: readonly string[]): readonly string[] {
  const leaving = state.lines.filter((line) => lineIds.includes(line.lineId));
  return [...new Set(leaving.flatMap((line) => (line.packageId === null ? [] : [line.packageId])))];
}

function viewOf(state: OrderState, nothingToDo: boolean): OrderStep["view"] {
  return {
    status: orderSummaryOf(state),
    channelStatus: state.channelStatus,
    hold: holdOf(state),
    nextStep: nextStepOf(state),
    needsAttention: needsAttention(state),
    shipBy: state.shipBy,
    lookAgainAt: waitsUntil(state),
    closed: isOver(state) && nothingToDo,
  };
}

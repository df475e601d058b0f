import type { Refusal } from "../decision.ts";
import type { UserId } from "../ids.ts";
import type { OrderDecision } from "./decide.ts";
import type { OrderEvent } from "./events.ts";
import { type OrderState, withStage } from "./order.ts";
import { isArranged, isFinal } from "./transitions.ts";

/**
 * What a seller wants done about paid orders that are short.
 *
 * `ask`: a person decides, order by order. `wait`: the order waits in the fair queue until it should have shipped, then
 * cancelling is proposed. `release_others`: likewise, and meanwhile the units of its other lines go to other orders.
 * `propose_cancelling`: cancelling is proposed at once. A proposal is carried out by a person who cancels the order.
 */
export const shortagePolicies = ["ask", "wait", "release_others", "propose_cancelling"] as const;
export type ShortagePolicy = (typeof shortagePolicies)[number];

/** What a person may decide about one order; cancelling is the order's own wish. */
export const shortageChoices = ["ask", "wait", "release_others"] as const satisfies readonly ShortagePolicy[];
export type ShortageChoice = (typeof shortageChoices)[number];

/** What is done about one order's shortage. */
export interface ShortageCourse {
  /** `overdue`: it has waited until it should have shipped, and cancelling is proposed. */
  readonly course: ShortagePolicy | "overdue";
  /** Null: the seller's policy. What a person has decided does not end by itself. */
  readonly by: UserId | null;
}

/** True while units are missing for an order that is to be shipped. */
export function isShort({ channelStatus, lines }: OrderState): boolean {
  return (
    !isFinal(channelStatus) && lines.some(({ stage }) => ["short", "yielding", "set_aside"].includes(stage))
  );
}

/** When an order that waits must be looked at again although nothing was heard of it. ISO 8601, or null. */
export function waitsUntil({ shortage, shipBy }: OrderState): string | null {
  const waits = shortage?.course === "wait" || shortage?.course === "release_others";
  return waits && shortage.by === null ? shipBy : null;
}

/**
 * Follows the seller's policy. Looked at in every round, since news, answers of the stock and time all change what is due;
 * once it is done it asks for nothing more.
 *
 * @param now ISO 8601.
 */
export function takeShortage(
  order: OrderState,
  { policy, now }: { readonly policy: ShortagePolicy; readonly now: string },
): OrderDecision {
  const left = leaveWithTheOrder(order);
  const chosen = takeCourse(left.state, policy, now);
  const yielded = releaseOthers(chosen.state);
  const asked = askAgain(yielded.state);
  return {
    state: asked.state,
    events: [...left.events, ...chosen.events, ...yielded.events, ...asked.events],
  };
}

/** The channel says that the order has left: what was set aside went with it, under a claim of its own. */
function leaveWithTheOrder(order: OrderState): OrderDecision {
  return isArranged(order.channelStatus)
    ? nextClaims(order, "arranged", (lineIds) => ({ kind: "lines_left", lineIds, how: "seen" }))
    : unchanged(order);
}

function takeCourse(order: OrderState, policy: ShortagePolicy, now: string): OrderDecision {
  if (!isShort(order)) {
    return order.shortage === null ? unchanged(order) : unchanged({ ...order, shortage: null });
  }
  // Whether it will ever be paid is open, and the channel lets nobody cancel it before.
  if (order.paidAt === null) return unchanged(order);
  if (order.shortage === null) {
    const course: ShortageCourse = { course: policy, by: null };
    const taken: OrderEvent = { kind: "shortage_course_taken", ...course };
    const next = takeCourse({ ...order, shortage: course }, policy, now);
    return { state: next.state, events: [taken, ...next.events] };
  }
  const until = waitsUntil(order);
  if (until === null || Date.parse(until) > Date.parse(now)) return unchanged(order);
  return {
    state: { ...order, shortage: { course: "overdue", by: null } },
    events: [{ kind: "shortage_overdue", shipBy: until }],
  };
}

/**
 * Once for each shortage that is decided so: an order that is served and then lacks another line must not go on giving back
 * what it has just been given.
 */
function releaseOthers(order: OrderState): OrderDecision {
  const applies = order.shortage?.course === "release_others" && !order.othersReleased;
  const held = order.lines.filter(({ stage }) => stage === "held").map(({ lineId }) => lineId);
  if (!applies || held.length === 0 || !order.lines.some(({ stage }) => stage === "short")) {
    return unchanged(order);
  }
  return {
    state: withStage({ ...order, othersReleased: true }, held, "yielding"),
    events: [{ kind: "lines_yielding", lineIds: held }],
  };
}

/** What was set aside is asked for anew when nothing is missing any more, and when it was decided to keep what there is. */
function askAgain(order: OrderState): OrderDecision {
  const isServed = !order.lines.some(({ stage }) => stage === "short" || stage === "yielding");
  const keeps = order.shortage?.course === "wait" || order.shortage?.course === "ask";
  if (isFinal(order.channelStatus) || !(isServed || keeps)) return unchanged(order);
  return nextClaims(order, "new", (lineIds) => ({ kind: "lines_asked_again", lineIds }));
}

function nextClaims(
  order: OrderState,
  stage: "new" | "arranged",
  eventOf: (lineIds: readonly string[]) => OrderEvent,
): OrderDecision {
  const setAside = order.lines.filter((line) => line.stage === "set_aside");
  if (setAside.length === 0) return unchanged(order);
  const lines = order.lines.map((line) =>
    line.stage === "set_aside" ? { ...line, stage, generation: line.generation + 1 } : line,
  );
  return { state: { ...order, lines }, events: [eventOf(setAside.map(({ lineId }) => lineId))] };
}

function unchanged(state: OrderState): OrderDecision {
  return { state, events: [] };
}

export type ShortageRefusal = "nothing_missing" | "not_paid_yet";

/** A person decides what is done about an order's shortage. */
export function chooseCourse(
  order: OrderState,
  wish: { readonly course: ShortageChoice; readonly by: UserId | null },
): OrderDecision | Refusal<ShortageRefusal> {
  if (!isShort(order)) {
    return { refused: "nothing_missing", explanation: "No units are missing for the order." };
  }
  if (order.paidAt === null) {
    return {
      refused: "not_paid_yet",
      explanation: "The order is not paid yet: it waits in the queue until it is, or is cancelled by itself.",
    };
  }
  if (order.shortage?.course === wish.course && order.shortage.by === wish.by) return unchanged(order);
  return {
    state: { ...order, shortage: wish, othersReleased: false },
    events: [{ kind: "shortage_course_taken", ...wish }],
  };
}

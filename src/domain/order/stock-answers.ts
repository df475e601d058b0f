import type { ReservationId } from "../ids.ts";
import {
  nextGeneration,
  reservationIdOf,
  type StockAnswer,
  type StockRefusalReason,
} from "../stock/operation.ts";
import { claimOf } from "./commands.ts";
import type { OrderDecision } from "./decide.ts";
import type { OrderEvent } from "./events.ts";
import { type OrderLine, type OrderState, withStage } from "./order.ts";

/** What the stock answered to a line. */
export interface LineAnswer {
  readonly lineId: string;
  readonly generation: number;
  readonly operation: "reserve" | "rank" | "release" | "ship" | "reverse";
  readonly answer: StockAnswer;
  /** With `rank` and `reserve`: the paid time that was told. */
  readonly paidAt: string | null;
}

/** Takes in what the stock answered; an answer to an older asking, or one that came in the meantime, changes nothing. */
export function takeStockAnswers(order: OrderState, answers: readonly LineAnswer[]): OrderDecision {
  let state = order;
  const groups = new Map<string, OrderEvent & { lineIds: string[] }>();
  const events: OrderEvent[] = [];
  for (const answered of answers) {
    const line = state.lines.find(
      (candidate) => candidate.lineId === answered.lineId && candidate.generation === answered.generation,
    );
    if (line === undefined) continue;
    const taken = takeAnswer(line, answered, state);
    if (taken === null) continue;
    state = { ...state, lines: state.lines.map((each) => (each === line ? taken.line : each)) };
    if (taken.event === null) continue;
    if (!("lineIds" in taken.event)) {
      events.push(taken.event);
      continue;
    }
    const group = groups.get(taken.event.kind);
    if (group === undefined) {
      const first = { ...taken.event, lineIds: [...taken.event.lineIds] } as OrderEvent & {
        lineIds: string[];
      };
      groups.set(taken.event.kind, first);
      events.push(first);
    } else {
      group.lineIds.push(line.lineId);
    }
  }
  return { state, events };
}

function takeAnswer(
  line: OrderLine,
  { operation, answer, paidAt }: LineAnswer,
  { othersReleased }: Pick<OrderState, "othersReleased">,
): { readonly line: OrderLine; readonly event: OrderEvent | null } | null {
  const lineIds = [line.lineId];
  switch (answer.outcome) {
    case "reserved":
      if (line.stage !== "new" && line.stage !== "short") return null;
      return {
        line: { ...line, stage: "held" },
        event: { kind: "lines_reserved", lineIds, fromQueue: false },
      };
    case "short":
      if (line.stage !== "new") return null;
      return {
        line: { ...line, stage: "short", rankedPaidAt: paidAt },
        event: { kind: "lines_short", lineIds },
      };
    case "ranked":
      if (line.stage !== "short" || paidAt === null) return null;
      return { line: { ...line, rankedPaidAt: paidAt }, event: { kind: "lines_ranked", lineIds, paidAt } };
    case "released":
    case "withdrawn":
    case "closed":
      if (line.stage === "yielding") {
        return { line: { ...line, stage: "set_aside" }, event: { kind: "lines_set_aside", lineIds } };
      }
      if (line.stage !== "closing") return null;
      return { line: { ...line, stage: "cancelled" }, event: { kind: "lines_released", lineIds } };
    case "shipped":
      if (line.stage !== "arranged") return null;
      return { line: { ...line, stage: "shipped" }, event: { kind: "lines_shipped", lineIds } };
    case "reversed":
      if (line.stage !== "reversing") return null;
      return { line: { ...line, stage: "reversed" }, event: { kind: "lines_returned_to_stock", lineIds } };
    case "refused":
      return {
        line: afterRefusal(line, operation, answer.reason, { paidAt, othersReleased }),
        event: { kind: "stock_refused", lineId: line.lineId, operation, reason: answer.reason },
      };
    case "adjusted":
    case "opened":
      return null;
  }
}

/** A refusal is final for its asking; the line goes where it can be resolved from, never round in a circle. */
function afterRefusal(
  line: OrderLine,
  operation: LineAnswer["operation"],
  reason: StockRefusalReason,
  { paidAt, othersReleased }: { readonly paidAt: string | null; readonly othersReleased: boolean },
): OrderLine {
  switch (operation) {
    case "reserve":
      // Closed before it was asked for: ask under a new generation. Anything else leaves the line without its units,
      // which is what a shortage is: the order is held and somebody looks.
      if (line.stage !== "new") return line;
      return reason === "claim_closed"
        ? { ...line, generation: line.generation + 1 }
        : { ...line, stage: "short", rankedPaidAt: paidAt };
    case "release":
      if (line.stage === "yielding") {
        return { ...line, stage: reason === "already_shipped" ? "shipped" : "held" };
      }
      if (line.stage !== "closing") return line;
      return { ...line, stage: reason === "already_shipped" ? "reversing" : "cancelled" };
    case "ship":
      if (line.stage !== "arranged") return line;
      // It left while its units were being given to others, and they are free: it takes its own as a new claim.
      return reason === "nothing_held" && othersReleased
        ? { ...line, generation: line.generation + 1 }
        : { ...line, stage: "untracked" };
    case "reverse":
      return line.stage === "reversing" ? { ...line, stage: "reversed" } : line;
    case "rank":
      return line.stage === "short" ? { ...line, rankedPaidAt: paidAt } : line;
  }
}

/**
 * A count has left lines short that held units: each waits again, as its next generation, or has been served again since. A
 * line that is leaving by then goes on under that generation, by which the stock knows its units now.
 */
export function takeLeftShort(
  order: OrderState,
  known: { readonly held: ReadonlySet<ReservationId>; readonly waiting: ReadonlySet<ReservationId> },
): OrderDecision {
  const waitsAgain: string[] = [];
  const lines = order.lines.map((line): OrderLine => {
    const next = reservationIdOf(nextGeneration(claimOf(order, line)));
    const waits = known.waiting.has(next);
    if (!waits && !known.held.has(next)) return line;
    const moved = { ...line, generation: line.generation + 1 };
    if (!waits || line.stage !== "held") return moved;
    waitsAgain.push(line.lineId);
    return { ...moved, stage: "short", rankedPaidAt: order.paidAt };
  });
  if (lines.every((line, index) => line === order.lines[index])) return { state: order, events: [] };
  return {
    state: { ...order, lines },
    events: waitsAgain.length === 0 ? [] : [{ kind: "lines_left_short", lineIds: waitsAgain }],
  };
}

/** The stock has reserved for lines that waited. */
export function takeServed(order: OrderState, held: ReadonlySet<ReservationId>): OrderDecision {
  const served = order.lines.filter(
    (line) => line.stage === "short" && held.has(reservationIdOf(claimOf(order, line))),
  );
  if (served.length === 0) return { state: order, events: [] };
  const lineIds = served.map((line) => line.lineId);
  return {
    state: withStage(order, lineIds, "held"),
    events: [{ kind: "lines_reserved", lineIds, fromQueue: true }],
  };
}

import type { StockAnswer, StockOperation } from "../../src/domain/stock/operation.ts";
import { claim, home } from "../domain/stock/stock-builders.ts";
import { readPage, tableAfter } from "./markdown.ts";

export interface ExampleBatch {
  readonly operations: readonly StockOperation[];
  /** As the page words them, see `wordsOf`. */
  readonly answers: readonly string[];
  readonly movements: readonly string[];
  readonly onHand: number;
  readonly reserved: number;
  readonly available: number;
  readonly waiting: readonly string[];
}

/** The worked example of docs/stock-model.md. */
export async function readExample(locationId = home): Promise<readonly ExampleBatch[]> {
  const rows = tableAfter(await readPage("docs/stock-model.md"), "example");
  return rows.map(([operations, answers, movements, onHand, reserved, available, waiting], index) => ({
    operations: listOf(operations).map((text) => operationFrom(text, `row-${index}`, locationId)),
    answers: listOf(answers),
    movements: listOf(movements),
    onHand: Number(onHand),
    reserved: Number(reserved),
    available: Number(available),
    waiting: listOf(waiting),
  }));
}

export function wordsOf(answer: StockAnswer): string {
  return answer.outcome === "refused" ? `refused: ${answer.reason}` : answer.outcome;
}

function listOf(cell: string | undefined): readonly string[] {
  return cell === undefined || cell === "" ? [] : cell.split(", ");
}

function operationFrom(text: string, id: string, locationId: typeof home): StockOperation {
  const words =
    /^(\w+) (?<subject>[\w+-]+)(?: paid (?<paid>\S+))?(?: ordered (?<ordered>\S+))?(?<outside> outside)?$/.exec(
      text,
    );
  const { subject = "", paid, ordered, outside } = words?.groups ?? {};
  const of = claim(subject);
  switch (words?.[1]) {
    case "open":
      return { kind: "open", listingId: "listing", locationId, quantity: Number(subject) };
    case "adjust":
      return {
        kind: "adjust",
        adjustmentId: id,
        quantity: Number(subject),
        reason: "Counted",
        actorId: null,
        locationId: null,
      };
    case "reserve":
      return {
        kind: "reserve",
        claim: of,
        quantity: 1,
        rank: { paidAt: paid === undefined ? null : timeOf(paid), orderedAt: timeOf(ordered ?? "10:00") },
        locationId: null,
      };
    case "rank":
      return { kind: "rank", claim: of, paidAt: timeOf(paid ?? "") };
    case "release":
      return { kind: "release", claim: of, reason: "Cancelled" };
    case "ship":
      return { kind: "ship", claim: of, quantity: 1, outside: outside !== undefined };
    case "reverse":
      return { kind: "reverse", claim: of, reason: "Cancelled" };
    default:
      throw new Error(`The example says "${text}", which is no operation`);
  }
}

function timeOf(clock: string): string {
  return `2026-01-01T${clock}:00.000Z`;
}

import { describe, expect, test } from "vitest";
import { isRefusal } from "../../../src/domain/decision.ts";
import { asId } from "../../../src/domain/ids.ts";
import { channelStatuses } from "../../../src/domain/order/channel-order.ts";
import { commandsFor } from "../../../src/domain/order/commands.ts";
import {
  type OrderDecision,
  requestCancel,
  takeCancelAnswer,
  takeShipment,
  takeSnapshot,
} from "../../../src/domain/order/decide.ts";
import { type LineStage, lineStages, nextStepOf, type OrderState } from "../../../src/domain/order/order.ts";
import { type LineAnswer, takeServed, takeStockAnswers } from "../../../src/domain/order/stock-answers.ts";
import {
  chooseCourse,
  shortageChoices,
  shortagePolicies,
  takeShortage,
} from "../../../src/domain/order/shortage.ts";
import { isFinal, isLegalMove } from "../../../src/domain/order/transitions.ts";
import type { StockAnswer, StockRefusalReason } from "../../../src/domain/stock/operation.ts";
import { at } from "../stock/stock-builders.ts";
import { aLine, contextOf, orderIn, orderLine, snapshot } from "./order-builders.ts";

/** Every state of an order and its line, and everything that can happen to it there. */
const cancelStates = [null, "requested", "accepted", "refused"] as const;

const states: readonly (readonly [string, OrderState])[] = channelStatuses.flatMap((status) =>
  lineStages.flatMap((stage) =>
    [false, true].flatMap((knowsSku) =>
      cancelStates.map((cancel): [string, OrderState] => [
        `${status}, line ${stage}${knowsSku ? "" : " of an unknown SKU"}, cancellation ${cancel ?? "none"}`,
        orderIn(status, {
          lines: [orderLine(stage, { skuId: knowsSku ? asId("sku-mug") : null })],
          cancelRequest: cancel === null ? null : { state: cancel, reason: "Damaged", by: null },
        }),
      ]),
    ),
  ),
);

type Happening = readonly [string, (order: OrderState) => OrderDecision | { readonly refused: string }];

const news: readonly Happening[] = channelStatuses.flatMap((status) =>
  ([[], ["cancelled"], ["in_transit"]] as const).map(([lineStatus = status]): Happening => {
    const told = snapshot(status, { updatedAt: at(9), lines: [aLine("1", { status: lineStatus })] });
    return [
      `news of ${status} with its line ${lineStatus}`,
      (order) => takeSnapshot(order, told, contextOf(told)),
    ];
  }),
);

const refusalReasons = [
  "claim_closed",
  "nothing_held",
  "already_shipped",
  "not_shipped",
  "below_reserved",
  "below_zero",
  "not_enough",
  "others_wait",
  "version_changed",
  "nothing_to_leave_short",
  "stopped",
  "nothing_to_repair",
  "not_under_way",
  "same_location",
  "unknown_location",
  "operation_id_reused",
  "poisoned",
] as const satisfies readonly StockRefusalReason[];

const everyAnswer: readonly StockAnswer[] = [
  { outcome: "reserved" },
  ...(["short", "ranked", "released", "withdrawn", "closed", "shipped", "reversed", "opened"] as const).map(
    (outcome) => ({ outcome }),
  ),
  { outcome: "adjusted", onHand: 1, available: 1 },
  ...refusalReasons.map((reason) => ({ outcome: "refused", reason }) as const),
];

const answers: readonly Happening[] = (["reserve", "rank", "release", "ship", "reverse"] as const).flatMap(
  (operation) =>
    everyAnswer.flatMap((answer) =>
      [1, 7].map((generation): Happening => {
        const given: LineAnswer = { lineId: "1", generation, operation, answer, paidAt: at(2) };
        const named = "reason" in answer ? answer.reason : answer.outcome;
        return [
          `${named} to ${operation} of generation ${generation}`,
          (order) => takeStockAnswers(order, [given]),
        ];
      }),
    ),
);

const rest: readonly Happening[] = [
  ["units from the queue", (order) => takeServed(order, new Set([asId<"Reservation">("shop/order/1/1")]))],
  ["units for another order", (order) => takeServed(order, new Set([asId<"Reservation">("shop/other/1/1")]))],
  ["a shipment arranged", (order) => takeShipment(order, { arranged: true, packageIds: [asId("package")] })],
  [
    "another shipment arranged",
    (order) => takeShipment(order, { arranged: true, packageIds: [asId("other")] }),
  ],
  ["a shipment declined", (order) => takeShipment(order, { arranged: false, reason: "No pickup" })],
  ["a wish to cancel", (order) => requestCancel(order, { reason: "Damaged", by: null })],
  ["another wish to cancel", (order) => requestCancel(order, { reason: "Sold out", by: null })],
  ...shortagePolicies.map(
    (policy): Happening => [
      `a look by the policy ${policy}`,
      (order) => takeShortage(order, { policy, now: at(3) }),
    ],
  ),
  ...shortageChoices.map(
    (course): Happening => [
      `the choice to ${course}`,
      (order) => chooseCourse(order, { course, by: asId("user") }),
    ],
  ),
  ["a cancellation accepted", (order) => takeCancelAnswer(order, { accepted: true })],
  ["a cancellation declined", (order) => takeCancelAnswer(order, { accepted: false, reason: "Too late" })],
];

const happenings = [...news, ...answers, ...rest];

/** What a line may become, and nothing else. Written down here a second time, so that code cannot drift with its test. */
const legalSteps: Readonly<Record<LineStage, readonly LineStage[]>> = {
  new: ["held", "short", "arranged", "closing", "cancelled", "untracked"],
  short: ["held", "arranged", "closing", "cancelled", "untracked"],
  held: ["yielding", "arranged", "closing", "cancelled", "untracked"],
  yielding: ["held", "arranged", "shipped", "set_aside", "closing", "cancelled"],
  set_aside: ["new", "arranged", "cancelled"],
  arranged: ["shipped", "closing", "untracked"],
  shipped: ["reversing"],
  closing: ["cancelled", "reversing"],
  reversing: ["reversed"],
  cancelled: [],
  reversed: [],
  untracked: [],
};

describe("an order in any state, whatever happens", () => {
  test.each(states)("%s: moves legally, or refuses by name and stays as it was", (_name, order) => {
    const frozen = JSON.stringify(order);
    for (const [what, happen] of happenings) {
      const decision = happen(order);
      check(JSON.stringify(order) === frozen, `${what} changes what it was given`);
      if (!("events" in decision)) {
        check(isRefusal(decision), `${what} is neither decided nor refused`);
        continue;
      }
      expectSound(order, decision, what);
    }
  });
});

test("nothing is left out: every state meets everything that can happen", () => {
  expect(states).toHaveLength(channelStatuses.length * lineStages.length * 2 * cancelStates.length);
  expect(happenings).toHaveLength(channelStatuses.length * 3 + 5 * everyAnswer.length * 2 + rest.length);
  expect(new Set(happenings.map(([what]) => what)).size).toBeGreaterThan(200);
});

function expectSound(before: OrderState, { state, events }: OrderDecision, what: string): void {
  const [was] = before.lines;
  const [line, ...more] = state.lines;
  if (line === undefined || was === undefined) throw new Error(`${what} loses the line`);
  check(more.length === 0, `${what} makes lines`);
  check(
    events.length > 0 || JSON.stringify(state) === JSON.stringify(before),
    `${what} changes something untold`,
  );
  const moves = state.channelStatus !== before.channelStatus;
  check(!moves || isLegalMove(before.channelStatus, state.channelStatus), `${what} is no legal move`);
  check(
    line.stage === was.stage || legalSteps[was.stage].includes(line.stage),
    `${what}: ${was.stage} becomes ${line.stage}`,
  );
  check(line.generation >= was.generation, `${what} lets a generation fall`);
  check(line.quantity === was.quantity && line.lineId === was.lineId, `${what} makes it another line`);
  // A closed order neither ships nor cancels, and what it still holds it is giving back or booking out.
  const wanted = commandsFor(state);
  const closed = isFinal(state.channelStatus);
  check(!closed || wanted.every(({ kind }) => kind === "stock"), `${what} leaves a closed order busy`);
  const holds = line.skuId !== null && ["new", "short", "held"].includes(line.stage);
  check(!(moves && closed && holds), `${what} closes an order that holds units`);
  check(wanted.filter(({ kind }) => kind === "stock").length <= 1, `${what} asks twice for one line`);
  check(nextStepOf(state) !== "", `${what} leaves nobody a next step`);
}

/** Some million checks are made here: the test library's own take ten times as long. */
function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

import { asId } from "../../../src/domain/ids.ts";
import { holdClaim, type StockAnswer, type StockOperation } from "../../../src/domain/stock/operation.ts";
import type { ModelRequest } from "./model.ts";
import { adjust, at, claim } from "./stock-builders.ts";

/** Random requests by a seed, and their translation for the product. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** A request about one of few orders, so that they meet: asked twice, closed before asked for, shipped while waiting. */
export function randomRequest(random: (below: number) => number, orders: number): ModelRequest {
  return random(6) === 0 ? byHand(random, orders) : aboutOrder(random, orders);
}

/** What people do, under few names, so that a name comes back with another wish now and then. */
function byHand(random: (below: number) => number, orders: number): ModelRequest {
  const id = String(random(orders * 2));
  switch (random(5)) {
    case 0:
      return { kind: "receive", id, quantity: 1 + random(4) };
    case 1:
      return { kind: "lost", id, quantity: 1 + random(4) };
    case 2:
      return { kind: "count", id, onHand: random(12) };
    case 3:
      return { kind: "hold", id, quantity: 1 + random(3) };
    default:
      return { kind: "end_hold", id };
  }
}

function aboutOrder(random: (below: number) => number, orders: number): ModelRequest {
  const about = { order: `o${String(random(orders)).padStart(3, "0")}`, generation: 1 + random(2) };
  const kind = random(100);
  if (kind < 46) {
    return {
      kind: "reserve",
      ...about,
      // Mostly the same body for the same id, seldom another one.
      quantity: random(20) === 0 ? 3 : 1 + (about.order.charCodeAt(3) % 2),
      paid: random(2) === 0 ? null : random(600),
      ordered: random(60),
    };
  }
  if (kind < 52) return { kind: "rank", ...about, paid: random(600) };
  if (kind < 68) return { kind: "release", ...about };
  if (kind < 80) {
    return { kind: "ship", ...about, quantity: random(10) === 0 ? 2 : 1, outside: random(4) === 0 };
  }
  if (kind < 86) return { kind: "reverse", ...about };
  const quantity = random(9) - 4;
  return {
    kind: "adjust",
    id: String(random(orders * 4)),
    quantity: quantity === 0 ? 5 : quantity,
    elsewhere: random(25) === 0,
  };
}

const byPerson = { reason: "by hand", actorId: null, locationId: null } as const;

export function operationOf(request: ModelRequest, prefix = ""): StockOperation {
  switch (request.kind) {
    case "receive":
    case "lost":
      return {
        kind: request.kind,
        changeId: `${prefix}${request.id}`,
        quantity: request.quantity,
        ...byPerson,
      };
    case "count":
      return {
        kind: "count",
        countId: `${prefix}${request.id}`,
        onHand: request.onHand,
        expectedVersion: null,
        leaveShort: [],
        ...byPerson,
      };
    case "hold":
      return {
        kind: "hold",
        holdId: `${prefix}${request.id}`,
        quantity: request.quantity,
        expiresAt: at(90),
        ...byPerson,
      };
    case "end_hold":
      return { kind: "release", claim: holdClaim(`${prefix}${request.id}`), reason: "over" };
    default:
      return orderOperationOf(request, prefix);
  }
}

function orderOperationOf(
  request: Exclude<ModelRequest, { kind: "receive" | "lost" | "count" | "hold" | "end_hold" }>,
  prefix: string,
): StockOperation {
  if (request.kind === "adjust") {
    const operation = adjust(`${prefix}${request.id}`, request.quantity);
    return request.elsewhere && operation.kind === "adjust"
      ? { ...operation, locationId: asId("00000000-0000-4000-8000-000000000000") }
      : operation;
  }
  // Each generation is a line of its own, since a line has one open claim at a time.
  const claimed = claim(`${prefix}${request.order}`, String(request.generation), request.generation);
  switch (request.kind) {
    case "reserve":
      return {
        kind: "reserve",
        claim: claimed,
        quantity: request.quantity,
        rank: {
          paidAt: request.paid === null ? null : at(request.paid),
          orderedAt: at(request.ordered),
        },
        locationId: null,
      };
    case "rank":
      return { kind: "rank", claim: claimed, paidAt: at(request.paid) };
    case "ship":
      return { kind: "ship", claim: claimed, quantity: request.quantity, outside: request.outside };
    case "release":
    case "reverse":
      return { kind: request.kind, claim: claimed, reason: "model" };
  }
}

/** An answer in the model's words. */
export function worded(answer: StockAnswer): string {
  switch (answer.outcome) {
    case "refused":
      return `refused ${answer.reason}`;
    case "adjusted":
      return `adjusted ${answer.onHand} ${answer.available}`;
    default:
      return answer.outcome;
  }
}

import fs from "node:fs";

/**
 * Named places between two effects, where a process may die in real life and where the crash sweep makes it die.
 *
 * One point is armed at most, at start, by CREATORFLOW_CRASH_POINT; production refuses the key. A process that reaches
 * its armed point ends at once by SIGKILL, so that nothing is drained, flushed or rolled back in order. Unarmed, a point
 * costs one comparison. Workflow code has none, since it is replayed, and the domain has none, since it has no effects.
 *
 * Each name says what was done and what was not; each sentence, who must put it right.
 */
export const crashPoints = {
  "webhook: stored, not answered": "The channel sends it again and meets its own row.",
  "key: claimed, nothing done": "The key's lease runs out; the same request then drives the effect on.",
  "key: effect done, answer not stored": "The same request asks for the same effect and gets its answer.",
  "key: answer stored, not given": "The same request gets the stored answer.",
  "cancellation: audited, order not asked": "The same request audits again and asks the order.",
  "import: rows staged, not accepted":
    "The same request stages them again; those without a name are dropped after an hour.",
  "approval: audited, workflow not asked": "The same request audits again and asks the workflow.",
  "approval: approved, stock not asked": "The approval's activity asks the stock.",
  "approval: stock answered, not recorded": "The approval's activity asks again and gets the stored answer.",
  "approval: answer recorded, not told": "The approval's activity finds it settled.",
  "bulk: page read, stock not asked": "The page is read again.",
  "bulk: stock answered, results not recorded":
    "The page is read again; each row's operation is known and gets its stored answer.",
  "bulk: results recorded, not told": "The next page is read; what has its result is not on it.",
  "bulk: every row done, not marked finished": "An empty page is read again, and the operation marked.",
  "deliveries: claimed, orders not fetched": "The lease runs out and another pass claims them.",
  "deliveries: orders fetched, not stored": "The lease runs out and the orders are fetched again.",
  "orders: stored, workflows not told":
    "The stored news is unhandled, so the next delivery or the sweep tells it.",
  "deliveries: workflows told, not marked":
    "They are worked off again; the snapshots are known and change nothing.",
  "outbox: claimed, nothing done": "The lease runs out and another pass claims the messages.",
  "outbox: order woken, not marked": "The order is woken again and finds nothing new.",
  "outbox: entity told of the offer, not marked": "The entity is told again and finds the offer settled.",
  "outbox: look at news begun, not marked": "It is begun again and finds no more news.",
  "outbox: hold begun, not marked": "It is begun again and found running, or over and released already.",
  "outbox: approval started, not marked": "It is started again, or found running.",
  "outbox: bulk operation started, not marked": "It is started again, or found running.",
  "outbox: tracking fetched, not stored": "It is fetched again.",
  "outbox: tracking stored, not marked": "It is fetched again; entries that are there stay as they are.",
  "outbox: document fetched, not stored": "It is fetched again.",
  "outbox: document stored, not marked": "It is fetched again and stored over itself.",
  "outbox: alert told, not marked": "The alert's workflow is told again and finds nothing new.",
  "outbox: stock compared, not marked": "It is compared again, and found stopped or in order.",
  "outbox: alerts compared, not marked":
    "They are compared again; an alert that is open is not opened twice.",
  "shop: warehouses mapped, catalogue not read": "Connecting begins again.",
  "shop: a SKU taken in, its page unfinished":
    "Connecting begins again; the SKU keeps its one opening movement.",
  "shop: a page of SKUs taken in": "Connecting begins again.",
  "shop: opened, orders not taken in": "Connecting begins again; the shop keeps the time it was opened at.",
  "shop: a page of orders taken in": "Connecting begins again; known orders change nothing.",
  "shop: all taken in, not marked connected": "Connecting begins again.",
  "poll: page taken in, cursor not moved": "The page is read again; known orders change nothing.",
  "stock: request gathered, entity not asked": "The order's activity is tried again.",
  "stock: entity answered, order not told": "The order's activity asks again and gets the stored answers.",
  "stock: batch asked for, not begun": "The entity's activity is tried again.",
  "stock: batch written, not committed": "Postgres rolls back; the entity's activity is tried again.",
  "stock: batch committed, not answered":
    "The entity's activity finds every operation applied and its answer stored.",
  "order: decision written, not committed": "Postgres rolls back; the order's activity is tried again.",
  "order: decision committed, not answered": "The order's activity decides again and finds nothing new.",
  "shipment: written down, channel not asked":
    "The effect is unclear: the order is read back before it is asked for.",
  "shipment: channel asked, result not recorded":
    "The effect is unclear: the order is read back and found arranged.",
  "shipment: result recorded, not answered": "The activity finds the recorded result.",
  "cancellation: decided, channel not asked": "The activity is tried again.",
  "cancellation: channel asked, not answered": "The channel refuses the second call; the order is read back.",
  "offer: push begun, nothing read": "The messages that ask for it come due again.",
  "offer: stock read, not observed": "It is read again.",
  "offer: observed, nothing decided": "It is read again.",
  "offer: push intended, channel not told": "The channel is read back before the next push.",
  "offer: channel told, intent open": "The channel is read back and the intent closed.",
  "offer: settled, not answered": "It is read again and found settled.",
  "offer: entity told, messages open": "They come due again, and the SKU is pushed once more.",
  "offer: pushed, messages open": "They come due again; it is read again and found settled.",
  "stock sync: page observed, not compared": "The page is read again; what was observed stays observed.",
  "stock sync: page compared, not answered":
    "The page is read again; a drift that is recorded stays one drift.",
  "alert: step planned, not committed": "Postgres rolls back; the workflow's activity is tried again.",
  "alert: step planned, nothing sent":
    "The workflow's activity finds the messages waiting and names them again.",
  "alert: message claimed, not sent": "The activity is tried again; the message has not gone out.",
  "alert: message sent, not marked":
    "The activity is tried again and sends the message once more, under the same id.",
  "alert: message marked, not answered": "The activity is tried again and finds the message sent.",
  "tokens: refreshed, not saved": "The old refresh token is used once more.",
} as const satisfies Record<string, string>;

export type CrashPoint = keyof typeof crashPoints;

/** Which point ends the process, and at which time it is reached: 1 is the first. */
export interface ArmedCrashPoint {
  readonly point: CrashPoint;
  readonly time: number;
}

let armed: CrashPoint | null = null;
let timesLeft = 0;

/** Arms one point of this process, or none. */
export function armCrashPoint(wanted: ArmedCrashPoint | null): void {
  armed = wanted?.point ?? null;
  timesLeft = wanted?.time ?? 0;
}

/** Ends the process here when this point is the armed one. */
export function crashPoint(point: CrashPoint): void {
  if (point === armed) reach(point);
}

/** Reads "<name>" or "<name>:<nth time>"; null when there is no such point. */
export function readCrashPoint(text: string): ArmedCrashPoint | null {
  const { name = "", time = "1" } = /^(?<name>.*?)(?::(?<time>[1-9]\d{0,5}))?$/.exec(text)?.groups ?? {};
  return isCrashPoint(name) ? { point: name, time: Number(time) } : null;
}

function isCrashPoint(name: string): name is CrashPoint {
  return Object.hasOwn(crashPoints, name);
}

function reach(point: CrashPoint): void {
  timesLeft -= 1;
  if (timesLeft > 0) return;
  // Written synchronously: nothing else gets out of this process any more.
  fs.writeSync(2, `crash point reached: ${point}\n`);
  process.kill(process.pid, "SIGKILL");
}

import { draw } from "./catalogue.ts";
import { type CallRule, type FaultPlan, faultPlan, type FaultRecord, type Often } from "./fault-plan.ts";
import type { Order } from "./records.ts";
import type { Books } from "./state.ts";

/**
 * Decides what goes wrong. A decision is drawn from the plan's seed, the rule and what it is about (a notification's id
 * and attempt, a call's number among those of its endpoint, an order's id), never from chance, and from a clock only where a
 * rule has a window: the same seed over the same traffic gives the same faults. What a decision uses up is noted in the books in the batch of what
 * it struck, so a kill neither repeats nor forgets the `next` so many.
 */
export class Faults {
  readonly #books: Books;

  constructor(books: Books) {
    this.#books = books;
  }

  /** Puts a plan in force; everything is counted from here. */
  change(plan: FaultPlan): void {
    this.#books.faults.save({ ...nothing, plan, sinceMilliseconds: Date.now() });
  }

  describe() {
    const { plan, injected, forgeriesAccepted } = this.#record;
    return { plan, injected, forgeriesAccepted };
  }

  losesWebhook(id: string): boolean {
    return this.#strikes("webhooks.lose", this.#plan.webhooks.lose, id);
  }

  /** Real milliseconds by which a notification comes late. */
  webhookDelayMilliseconds(id: string): number {
    const { delay } = this.#plan.webhooks;
    if (delay === undefined || !this.#strikes("webhooks.delay", delay, id)) return 0;
    return this.#drawn(`webhooks.delay/length/${id}`, ...delay.betweenMs);
  }

  /** How many later notifications shall overtake this one, and how long it waits for them at most; null for none. */
  reordersWebhook(id: string): { readonly behind: number; readonly waitMsMax: number } | null {
    const { reorder } = this.#plan.webhooks;
    return reorder !== undefined && this.#strikes("webhooks.reorder", reorder, id) ? reorder : null;
  }

  /** Copies to be sent beside an attempt. */
  webhookCopies(id: string, attempt: number): { readonly copies: number; readonly concurrent: boolean } {
    const { duplicate } = this.#plan.webhooks;
    const key = `${id}/${attempt}`;
    if (duplicate === undefined || !this.#strikes("webhooks.duplicate", duplicate, key)) {
      return { copies: 0, concurrent: false };
    }
    const copies = this.#drawn(`webhooks.duplicate/copies/${key}`, 1, duplicate.copiesMax);
    return { copies, concurrent: duplicate.concurrent };
  }

  forgesWebhook(id: string, attempt: number): boolean {
    return this.#strikes("webhooks.forge", this.#plan.webhooks.forge, `${id}/${attempt}`);
  }

  forgeryAccepted(): void {
    const record = this.#record;
    this.#books.faults.save({ ...record, forgeriesAccepted: record.forgeriesAccepted + 1 });
  }

  /** What happens to the call that has just come in at an endpoint, named as in the books of calls. */
  strikeCall(endpoint: string): StruckCall {
    const { calls } = this.#plan;
    if (calls.length === 0)
      return { rule: null, lateMilliseconds: 0, slowMilliseconds: 0, picks: () => false };
    const ordinal = this.#nextOrdinal(endpoint);
    const key = `${endpoint}/${ordinal}`;
    let rule: DecisiveRule | null = null;
    const pauses = { late: 0, slow: 0 };
    for (const [index, candidate] of calls.entries()) {
      if (!endpoint.includes(candidate.endpoint ?? "")) continue;
      const isPause = candidate.fault === "slow" || candidate.fault === "late";
      if (!isPause && rule !== null) continue;
      const name = `calls.${index}.${candidate.fault}`;
      if (!this.#strikes(name, candidate, key)) continue;
      if (isPause) pauses[candidate.fault] += this.#drawn(`${name}/length/${key}`, ...candidate.betweenMs);
      else rule = candidate;
    }
    const picks = (item: number, percent: number): boolean => this.#falls(`item/${key}/${item}`, percent);
    return { rule, lateMilliseconds: pauses.late, slowMilliseconds: pauses.slow, picks };
  }

  /** Whether an order is still too young to be fetched. */
  hides(order: Order): boolean {
    const { unreadable } = this.#plan;
    const placed = order.statusChanges[0]?.atMilliseconds ?? 0;
    if (unreadable === null || Date.now() - placed >= unreadable.forMs) return false;
    return this.#strikes("unreadable", unreadable, order.id);
  }

  get #record(): FaultRecord {
    return this.#books.faults.find("faults") ?? nothing;
  }

  get #plan(): FaultPlan {
    return this.#record.plan;
  }

  #nextOrdinal(endpoint: string): number {
    const record = this.#record;
    const ordinal = (record.ordinals[endpoint] ?? 0) + 1;
    this.#books.faults.save({ ...record, ordinals: { ...record.ordinals, [endpoint]: ordinal } });
    return ordinal;
  }

  #strikes(name: string, rule: Often | undefined, key: string): boolean {
    if (rule === undefined) return false;
    const record = this.#record;
    if (!this.#isOpen(rule.windowMs)) return false;
    const left = record.left[name] ?? rule.next ?? 0;
    if (rule.percent === undefined ? left === 0 : !this.#falls(`${name}/${key}`, rule.percent)) return false;
    this.#books.faults.save({
      ...record,
      injected: { ...record.injected, [name]: (record.injected[name] ?? 0) + 1 },
      left: rule.next === undefined ? record.left : { ...record.left, [name]: left - 1 },
    });
    return true;
  }

  #isOpen(window: Often["windowMs"]): boolean {
    if (window === undefined) return true;
    const age = Date.now() - this.#record.sinceMilliseconds;
    return age >= window[0] && age < window[1];
  }

  #falls(name: string, percent: number): boolean {
    return this.#drawn(name, 0, 999_999) < percent * 10_000;
  }

  #drawn(name: string, least: number, most: number): number {
    return draw(this.#plan.seed, name, least, most);
  }
}

type DecisiveRule = Exclude<CallRule, { readonly fault: "slow" | "late" }>;

/** What goes wrong with one call. */
export interface StruckCall {
  readonly rule: DecisiveRule | null;
  /** Real milliseconds between its coming in and its decision. */
  readonly lateMilliseconds: number;
  /** Real milliseconds between the books and the answer. */
  readonly slowMilliseconds: number;
  /** Whether one of the call's items, told by its place, is among so many percent. */
  readonly picks: (item: number, percent: number) => boolean;
}

/** No faults; made once, since every webhook and call asks. Records are replaced, never changed. */
const nothing: FaultRecord = {
  id: "faults",
  plan: faultPlan.parse({}),
  sinceMilliseconds: 0,
  ordinals: {},
  left: {},
  injected: {},
  forgeriesAccepted: 0,
};

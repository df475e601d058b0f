/**
 * Looks for units that were offered and did not exist. Two shops sell from one shelf: a sale in one of them, or units taken off
 * the shelf, leave the other offering too many until it is told. Every such time must begin with something that whoever made the
 * offer could not know of, and it must end.
 */
export type ShelfEvent =
  /** Units are put on the shelf or taken off it. */
  | { readonly at: number; readonly kind: "shelf"; readonly units: number }
  /** Another shop sells or takes back. */
  | { readonly at: number; readonly kind: "elsewhere"; readonly units: number }
  /** The listing's own shop sells or takes back: what it offers changes with what is free. */
  | { readonly at: number; readonly kind: "own"; readonly units: number }
  /** The listing is told a number, which was computed from the ledger at `madeAt` or later. */
  | { readonly at: number; readonly kind: "told"; readonly available: number; readonly madeAt: number };

/** What the ledger knew to be free, from a moment on. */
export interface KnownFree {
  readonly at: number;
  readonly free: number;
}

export interface OverOffer {
  readonly from: number;
  /** Null: it has not ended. */
  readonly to: number | null;
  /** Units too many, at the worst. */
  readonly units: number;
  /**
   * How old the news was of which the listing knew nothing, at the worst, in milliseconds: as many units as are too many were sold or
   * taken within that time. An over-offer may last much longer, since sales go on. Infinite when nothing explains it.
   */
  readonly newsAge: number;
}

/**
 * Follows one listing of one SKU.
 *
 * @param opening units that are free and offered at the beginning.
 * @param events in the order of their times; those of one millisecond count as one, since nobody knows their order.
 */
export function findOverOffers(opening: number, events: readonly ShelfEvent[]): readonly OverOffer[] {
  const found: OverOffer[] = [];
  let free = opening;
  let offered = opening;
  let open = null as { from: number; units: number; newsAge: number } | null;
  const news = new News();
  for (const [index, event] of events.entries()) {
    if (open !== null) {
      const age = news.ageOf(offered - Math.max(0, free), event.at);
      open = { ...open, newsAge: Math.max(open.newsAge, age) };
    }
    news.note(event);
    if (event.kind === "told") offered = event.available;
    else free += event.units;
    if (event.kind === "own") offered += event.units;
    if (events[index + 1]?.at === event.at) continue;
    const over = offered - Math.max(0, free);
    if (over > 0) open = { newsAge: 0, from: event.at, ...open, units: Math.max(open?.units ?? 0, over) };
    else if (open !== null) {
      found.push({ ...open, to: event.at });
      open = null;
    }
  }
  return open === null ? found : [...found, { ...open, to: null }];
}

interface Taken {
  readonly at: number;
  readonly units: number;
}

/** What a listing may not know of yet: units that were taken. */
class News {
  /** From the shelf or by another shop, and not taken back. */
  #elsewhere: Taken[] = [];
  #own: Taken[] = [];
  /** Of the shop's own sales those that the last number told, which was made before them, has undone. */
  #undone: readonly Taken[] = [];
  /**
   * Those before them: of one that we do not know of, and whose units seem to be those of a parcel that has left, a number that is
   * made meanwhile may know nothing either.
   */
  #before: readonly Taken[] = [];

  note(event: ShelfEvent): void {
    switch (event.kind) {
      case "told":
        this.#undone = this.#own.filter(({ at }) => at >= event.madeAt);
        this.#before = this.#own.filter(({ at }) => at < event.madeAt);
        break;
      case "own":
        this.#own = noted(this.#own, event);
        break;
      case "elsewhere":
        this.#elsewhere = noted(this.#elsewhere, event);
        break;
      case "shelf":
        if (event.units < 0) this.#elsewhere = noted(this.#elsewhere, event);
    }
  }

  /** Since when so many units were taken, the newest first; in milliseconds before a moment. */
  ageOf(units: number, now: number): number {
    let left = units;
    const byAge = (one: Taken, other: Taken) => other.at - one.at;
    const likely = [...this.#elsewhere, ...this.#undone].sort(byAge);
    for (const taken of [...likely, ...this.#before.toSorted(byAge)]) {
      left += taken.units;
      if (left <= 0) return now - taken.at;
    }
    return units > 0 ? Number.POSITIVE_INFINITY : 0;
  }
}

/** A sale that is taken back is none: the newest of as many units. */
function noted(taken: readonly Taken[], { at, units }: Taken): Taken[] {
  if (units < 0) return [...taken, { at, units }];
  const undone = taken.findLastIndex((sale) => sale.units === -units);
  return taken.filter((_, place) => place !== undone);
}

/** Numbers that a listing was told and that the ledger did not have free at any moment from their making to their arrival. */
export function findInvented(
  known: readonly KnownFree[],
  events: readonly ShelfEvent[],
): readonly ShelfEvent[] {
  return events.filter((event) => {
    if (event.kind !== "told") return false;
    const first = Math.max(
      0,
      known.findLastIndex(({ at }) => at <= event.madeAt),
    );
    const meanwhile = known.slice(first).filter(({ at }, place) => place === 0 || at <= event.at);
    return meanwhile.every(({ free }) => event.available > Math.max(0, free));
  });
}

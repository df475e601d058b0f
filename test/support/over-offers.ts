/**
 * Looks for units that were offered and did not exist. Two shops sell from one shelf: a sale in one of them, or units taken off
 * the shelf, leave the other offering too many until it is told. Every such time must begin with something that whoever made the
 * offer could not know of, and it must end.
 */
export type ShelfEvent =
  /** Units that exist and are promised to nobody change, elsewhere than in the listing's shop. */
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
  let open = null as { from: number; units: number } | null;
  for (const [index, event] of events.entries()) {
    if (event.kind === "told") offered = event.available;
    else free += event.units;
    if (event.kind === "own") offered += event.units;
    if (events[index + 1]?.at === event.at) continue;
    const over = offered - Math.max(0, free);
    if (over > 0) open = { from: open?.from ?? event.at, units: Math.max(open?.units ?? 0, over) };
    else if (open !== null) {
      found.push({ ...open, to: event.at });
      open = null;
    }
  }
  return open === null ? found : [...found, { ...open, to: null }];
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

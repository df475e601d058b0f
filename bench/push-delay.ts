/** What a number is from a moment on: the units by which it differs from where it began. */
export interface Standing {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly units: number;
}

/**
 * How long after each change of what a listing should show the listing has shown the right thing. Changes overlap: one push
 * may make several good, and what was right a moment ago is wrong again. So a change counts as made good at the first moment,
 * at it or after it, at which the listing shows what it should after this change or after a later one that has happened by
 * then. Two changes that cancel each other out are made good by each other.
 *
 * @param should from the common beginning of both, 0 units, in the order of their times.
 * @param shown the same of the listing.
 * @returns milliseconds for each element of `should`; 0 where the listing showed the right thing already, null where it never
 *   has.
 */
export function millisecondsUntilRight(
  should: readonly Standing[],
  shown: readonly Standing[],
): readonly (number | null)[] {
  return should.map((change, index) => {
    const right = new Set<number>();
    let next = index;
    let place = shown.findLastIndex(({ at }) => at <= change.at);
    let now = change.at;
    while (true) {
      for (let each = should[next]; each !== undefined && each.at <= now; each = should[next]) {
        right.add(each.units);
        next += 1;
      }
      if (right.has(place < 0 ? 0 : (shown[place]?.units ?? 0))) return now - change.at;
      const shownNext = shown[place + 1]?.at ?? Number.POSITIVE_INFINITY;
      const shouldNext = should[next]?.at ?? Number.POSITIVE_INFINITY;
      now = Math.min(shownNext, shouldNext);
      if (now === Number.POSITIVE_INFINITY) return null;
      if (shownNext === now) place += 1;
    }
  });
}

/**
 * When a listing that was right was made wrong by what it was told, and when it was right again: somebody has told it a number of
 * before.
 *
 * @param should and `shown` as above.
 * @returns `until` is null where it has stayed wrong.
 */
export function timesOverwritten(
  should: readonly Standing[],
  shown: readonly Standing[],
): readonly { readonly at: number; readonly until: number | null }[] {
  const isRight = (units: number, at: number): boolean =>
    (should.findLast((each) => each.at <= at)?.units ?? 0) === units;
  const moments = [...should, ...shown].map(({ at }) => at).sort((one, other) => one - other);
  return shown.flatMap(({ at, units }, index) => {
    if (!isRight(shown[index - 1]?.units ?? 0, at) || isRight(units, at)) return [];
    const until = moments.find(
      (moment) => moment > at && isRight(shown.findLast((each) => each.at <= moment)?.units ?? 0, moment),
    );
    return [{ at, until: until ?? null }];
  });
}

/** Adds up changes to what stands after each. */
export function standingsOf(
  changes: readonly { readonly at: number; readonly delta: number }[],
): readonly Standing[] {
  let units = 0;
  return changes.map(({ at, delta }) => {
    units += delta;
    return { at, units };
  });
}

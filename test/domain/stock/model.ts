/**
 * The stock of one SKU at one place, written down as plainly as possible and sharing nothing with the product: numbers,
 * one list of claims, one list of remembered requests. Slow and obvious, to compare the real thing with.
 */
export type ModelRequest =
  | {
      kind: "reserve";
      order: string;
      generation: number;
      quantity: number;
      paid: number | null;
      ordered: number;
    }
  | { kind: "rank"; order: string; generation: number; paid: number }
  | { kind: "release" | "reverse"; order: string; generation: number }
  | { kind: "ship"; order: string; generation: number; quantity: number; outside: boolean }
  | { kind: "adjust"; id: string; quantity: number; elsewhere: boolean }
  | { kind: "receive" | "lost"; id: string; quantity: number }
  | { kind: "count"; id: string; onHand: number }
  | { kind: "hold"; id: string; quantity: number }
  | { kind: "end_hold"; id: string };

interface ModelClaim {
  name: string;
  state: "waiting" | "held" | "shipped" | "released" | "reversed" | "closed";
  quantity: number;
  paid: number | null;
  ordered: number;
}

export class StockModel {
  onHand: number;
  reserved = 0;
  readonly floor: number;
  readonly claims: ModelClaim[] = [];
  readonly #remembered = new Map<string, { body: string; answer: string }>();

  constructor(onHand: number, floor: number) {
    this.onHand = onHand;
    this.floor = floor;
  }

  /** Answers in the requests' order; requests that give or take are done first, then the units go round. */
  batch(requests: readonly ModelRequest[]): string[] {
    const asking: ModelRequest[] = [];
    const keeping: Extract<ModelRequest, { kind: "hold" }>[] = [];
    const adjusted: string[] = [];
    for (const request of requests) {
      const id = idOf(request);
      if (this.#remembered.has(id) || [...asking, ...keeping].some((other) => idOf(other) === id)) continue;
      if (request.kind === "hold") {
        keeping.push(request);
        continue;
      }
      if (request.kind === "reserve") {
        asking.push(request);
        continue;
      }
      const answer = this.#change(request);
      this.#remembered.set(id, { body: bodyOf(request), answer });
      if (answer === "adjusted") adjusted.push(id);
    }
    this.#letGoRound(asking);
    for (const request of keeping) {
      const answer = this.#hold(request);
      this.#remember(request, answer);
      if (answer === "adjusted") adjusted.push(idOf(request));
    }
    for (const id of adjusted) {
      this.#remembered.get(id)!.answer = `adjusted ${this.onHand} ${this.onHand - this.reserved}`;
    }
    return requests.map((request) => {
      const known = this.#remembered.get(idOf(request))!;
      return known.body === bodyOf(request) ? known.answer : "refused operation_id_reused";
    });
  }

  free(): number {
    return this.onHand - this.reserved - this.floor;
  }

  #find(request: { order: string; generation: number }): ModelClaim | undefined {
    return this.claims.find((claim) => claim.name === nameOf(request));
  }

  #add(
    request: { order: string; generation: number },
    state: ModelClaim["state"],
    quantity: number,
  ): ModelClaim {
    const claim = { name: nameOf(request), state, quantity, paid: null, ordered: 0 };
    this.claims.push(claim);
    return claim;
  }

  /** Last of all, and only while nobody waits: of what is on the shelf. */
  #hold(request: Extract<ModelRequest, { kind: "hold" }>): string {
    if (this.claims.some((claim) => claim.state === "waiting")) return "refused others_wait";
    const name = `hold ${request.id}`;
    if (this.claims.some((claim) => claim.name === name)) return "refused claim_closed";
    if (request.quantity > Math.min(this.free(), this.onHand - this.reserved)) return "refused not_enough";
    this.claims.push({ name, state: "held", quantity: request.quantity, paid: null, ordered: 0 });
    this.reserved += request.quantity;
    return "adjusted";
  }

  #endHold(id: string): string {
    const name = `hold ${id}`;
    const hold = this.claims.find((claim) => claim.name === name);
    if (hold === undefined) {
      this.claims.push({ name, state: "closed", quantity: 0, paid: null, ordered: 0 });
      return "closed";
    }
    if (hold.state !== "held") return "closed";
    hold.state = "released";
    this.reserved -= hold.quantity;
    return "released";
  }

  #count(onHand: number): string {
    const change = onHand - this.onHand;
    if (change < 0 && this.free() + change < 0) return "refused below_reserved";
    this.onHand = onHand;
    return "adjusted";
  }

  #change(request: Exclude<ModelRequest, { kind: "reserve" | "hold" }>): string {
    switch (request.kind) {
      case "adjust":
        return request.elsewhere ? "refused unknown_location" : this.#adjust(request.quantity);
      case "receive":
        return this.#adjust(request.quantity);
      case "lost":
        return this.#adjust(-request.quantity);
      case "count":
        return this.#count(request.onHand);
      case "end_hold":
        return this.#endHold(request.id);
      default:
        return this.#claimChange(request);
    }
  }

  #claimChange(request: Extract<ModelRequest, { kind: "rank" | "release" | "ship" | "reverse" }>): string {
    const claim = this.#find(request);
    if (request.kind === "rank") {
      if (claim?.state === "waiting") claim.paid = request.paid;
      return "ranked";
    }
    if (request.kind === "release") {
      if (claim === undefined) {
        this.#add(request, "closed", 0);
        return "closed";
      }
      if (claim.state === "shipped") return "refused already_shipped";
      const was = claim.state;
      if (was === "held") this.reserved -= claim.quantity;
      if (was === "held" || was === "waiting") claim.state = "released";
      return was === "held" ? "released" : was === "waiting" ? "withdrawn" : "closed";
    }
    if (request.kind === "ship") return this.#ship(request, claim);
    return this.#reverse(claim);
  }

  #reverse(claim: ModelClaim | undefined): string {
    if (claim?.state === "reversed") return "reversed";
    if (claim?.state !== "shipped") return "refused not_shipped";
    this.onHand += claim.quantity;
    claim.state = "reversed";
    return "reversed";
  }

  #ship(request: Extract<ModelRequest, { kind: "ship" }>, claim: ModelClaim | undefined): string {
    if (claim?.state === "shipped") return "shipped";
    if (claim?.state === "held") {
      this.onHand = Math.max(this.onHand, claim.quantity) - claim.quantity;
      this.reserved -= claim.quantity;
      claim.state = "shipped";
      return "shipped";
    }
    const mayLeave = claim === undefined || claim.state === "waiting";
    if (!request.outside || !mayLeave) return "refused nothing_held";
    // It has left. What we did not have must have been there: it is found first.
    this.onHand += Math.max(0, request.quantity - Math.max(0, this.free()), request.quantity - this.onHand);
    this.onHand -= request.quantity;
    const gone = claim ?? this.#add(request, "shipped", request.quantity);
    gone.state = "shipped";
    gone.quantity = request.quantity;
    return "shipped";
  }

  #adjust(quantity: number): string {
    if (this.onHand + quantity < 0) return "refused below_zero";
    if (quantity < 0 && this.free() + quantity < 0) return "refused below_reserved";
    this.onHand += quantity;
    return "adjusted";
  }

  /** All who wait and all who ask stand in one line; the first who cannot be served stops it. */
  #letGoRound(asking: readonly ModelRequest[]): void {
    const fresh: { claim: ModelClaim; request: ModelRequest }[] = [];
    for (const request of asking) {
      if (request.kind !== "reserve") continue;
      const known = this.#find(request);
      if (known === undefined) {
        const claim = this.#add(request, "waiting", request.quantity);
        claim.paid = request.paid;
        claim.ordered = request.ordered;
        fresh.push({ claim, request });
      } else {
        const answers = { waiting: "short", held: "reserved", shipped: "shipped" } as Record<string, string>;
        this.#remember(request, answers[known.state] ?? "refused claim_closed");
      }
    }
    const line = this.claims.filter((claim) => claim.state === "waiting").sort(before);
    for (const claim of line) {
      if (this.free() < claim.quantity) break;
      claim.state = "held";
      this.reserved += claim.quantity;
    }
    for (const { claim, request } of fresh) {
      this.#remember(request, claim.state === "held" ? "reserved" : "short");
    }
  }

  #remember(request: ModelRequest, answer: string): void {
    this.#remembered.set(idOf(request), { body: bodyOf(request), answer });
  }
}

function before(one: ModelClaim, other: ModelClaim): number {
  const never = Number.POSITIVE_INFINITY;
  if ((one.paid ?? never) !== (other.paid ?? never))
    return (one.paid ?? never) < (other.paid ?? never) ? -1 : 1;
  if (one.ordered !== other.ordered) return one.ordered - other.ordered;
  return one.name < other.name ? -1 : 1;
}

function nameOf({ order, generation }: { order: string; generation: number }): string {
  return `${order}#${generation}`;
}

function idOf(request: ModelRequest): string {
  return `${request.kind} ${"id" in request ? request.id : nameOf(request)}`;
}

/** What makes two requests under one id two different ones. */
function bodyOf(request: ModelRequest): string {
  if (request.kind === "adjust") return `${request.quantity} ${request.elsewhere}`;
  if (request.kind === "count") return String(request.onHand);
  return "quantity" in request ? String(request.quantity) : "";
}

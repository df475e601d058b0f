import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type Random, randomFrom } from "../support/random.ts";
import { type ApiClient, createApiClient, type Level, type Write, type Written } from "./api-client.ts";
import type { Answer, Operation, Wish } from "./checker.ts";

/**
 * Clients that are a process of their own. Each asks one thing after the other, crowds with the others around one SKU at a
 * time, sends a write again with the same key until it knows what became of it, and now and then gives one up unknown.
 */
export interface ClientSettings {
  readonly name: string;
  readonly number: number;
  readonly apiUrls: readonly string[];
  readonly email: string;
  readonly password: string;
  readonly skuIds: readonly string[];
  /** It goes on with more until it is told to end. */
  readonly operations: number;
  readonly seed: number;
}

export interface Recorded {
  readonly skuId: string;
  readonly operation: Operation;
  readonly attempts: number;
  readonly holdId: string | null;
}

/** Of somebody else: holds are ended by others, too. */
export interface KnownHold {
  readonly skuId: string;
  readonly key: string;
  readonly holdId: string;
}

export type ToClient = { readonly hold: KnownHold } | { readonly end: true };

/** So many ask at the same time in one process. */
const lanes = 2;
const crowdMilliseconds = 2_000;
const readShare = 0.7;
const againMilliseconds = 300;
/** Of the writes that got no clear answer at first. */
const giveUpShare = 0.3;
const attemptsMaximum = 200;
const holdsOpenMaximum = 3;

/** Milliseconds on the machine's own clock: all processes read the same one, and nobody sets it. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

class Client {
  readonly #settings: ClientSettings;
  readonly #random: Random;
  readonly #api: ApiClient;
  readonly #holds: KnownHold[] = [];
  readonly #basedOn = new Map<
    string,
    { readonly sequence: number; readonly onHand: number; readonly level: Level }
  >();
  #made = 0;
  #mayEnd = false;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    this.#random = randomFrom(settings.seed);
    this.#api = createApiClient({ ...settings, firstApi: settings.number });
  }

  hear(message: ToClient): void {
    if ("end" in message) this.#mayEnd = true;
    else this.#holds.push(message.hold);
  }

  async run(tell: (recorded: Recorded) => void): Promise<void> {
    while (this.#made < this.#settings.operations || !this.#mayEnd) {
      this.#made += 1;
      const skuId = this.#pickSku();
      const key = `${this.#settings.name}-${this.#made}`;
      tell(await this.#ask(skuId, key));
    }
  }

  #pickSku(): string {
    const { skuIds } = this.#settings;
    const crowded = skuIds[Math.floor(now() / crowdMilliseconds) % skuIds.length];
    return crowded === undefined || this.#random.chance(0.3) ? this.#random.pick(skuIds) : crowded;
  }

  async #ask(skuId: string, key: string): Promise<Recorded> {
    const random = this.#random;
    const basedOn = this.#basedOn.get(skuId);
    const product = `/api/inventory/products/${skuId}`;
    const reason = key;
    if (this.#holds.length >= holdsOpenMaximum || (this.#holds.length > 0 && random.chance(0.1))) {
      return await this.#endHold(key);
    }
    if (random.chance(readShare)) return await this.#read(skuId, key);
    switch (
      random.pick(["adjust", "adjust", "receive", "lost", "hold", "hold", "count", "nothing"] as const)
    ) {
      case "adjust": {
        const quantity = random.pick([-6, -4, -3, -2, -1, 1, 2, 3, 5]);
        const write = {
          method: "POST",
          route: `${product}/adjust`,
          key,
          body: { quantity, reason },
        } as const;
        return await this.#write(skuId, { kind: "adjust", quantity }, write);
      }
      case "receive":
        return await this.#move(skuId, key, "receive");
      case "lost":
        return await this.#move(skuId, key, "lost");
      case "hold": {
        const quantity = random.whole(1, 8);
        const body = { quantity, reason, expires_at: new Date(Date.now() + 30 * 86_400_000).toISOString() };
        const write = { method: "POST", route: `${product}/holds`, key, body } as const;
        const recorded = await this.#write(skuId, { kind: "hold", quantity }, write);
        if (recorded.holdId !== null) this.#holds.push({ skuId, key, holdId: recorded.holdId });
        return recorded;
      }
      case "count": {
        if (basedOn === undefined) return await this.#read(skuId, key);
        const onHand = Math.max(0, basedOn.onHand + random.whole(-2, 2));
        const { locationId, etag } = basedOn.level;
        const write = {
          method: "PUT",
          route: `${product}/levels/${locationId}`,
          key,
          body: { on_hand: onHand, reason },
        } as const;
        return await this.#write(
          skuId,
          { kind: "count", onHand, basedOn: basedOn.sequence },
          { ...write, ifMatch: etag },
        );
      }
      case "nothing": {
        const write = {
          method: "POST",
          route: `/api/inventory/holds/${randomUUID()}/release`,
          key,
          body: {},
        } as const;
        return await this.#write(skuId, { kind: "release", hold: "nobody's" }, write);
      }
    }
  }

  async #move(skuId: string, key: string, kind: "receive" | "lost"): Promise<Recorded> {
    const quantity = this.#random.whole(1, 4);
    const body = { kind, quantity, reason: key };
    const route = `/api/inventory/products/${skuId}/movements`;
    return await this.#write(skuId, { kind, quantity }, { method: "POST", route, key, body });
  }

  async #endHold(key: string): Promise<Recorded> {
    const [hold] = this.#holds.splice(this.#random.whole(0, this.#holds.length - 1), 1);
    if (hold === undefined) throw new Error("There is no hold to end");
    const write = {
      method: "POST",
      route: `/api/inventory/holds/${hold.holdId}/release`,
      key,
      body: {},
    } as const;
    return await this.#write(hold.skuId, { kind: "release", hold: hold.key }, write);
  }

  /** A read that was not answered has seen nothing, so each try is a new one. */
  async #read(skuId: string, key: string): Promise<Recorded> {
    for (let attempts = 1; ; attempts += 1) {
      const askedAt = now();
      const seen = await this.#api.read(skuId);
      const answeredAt = now();
      if (seen === "unclear") {
        await pause(againMilliseconds);
        continue;
      }
      const { sequence, onHand } = seen.sight;
      this.#basedOn.set(skuId, { sequence, onHand, level: seen.level });
      const times = { askedAt, answeredAt };
      return this.#record(
        skuId,
        key,
        { kind: "read" },
        times,
        { outcome: "seen", sight: seen.sight },
        attempts,
        null,
      );
    }
  }

  async #write(skuId: string, wish: Wish, write: Write): Promise<Recorded> {
    const askedAt = now();
    const patience = this.#random.chance(giveUpShare) ? this.#random.whole(1, 3) : attemptsMaximum;
    for (let attempts = 1; ; attempts += 1) {
      const written: Written | "unclear" = await this.#api.write(write);
      if (written !== "unclear") {
        const times = { askedAt, answeredAt: now() };
        return this.#record(skuId, write.key, wish, times, written.answer, attempts, written.holdId);
      }
      if (attempts >= patience) {
        return this.#record(skuId, write.key, wish, { askedAt, answeredAt: null }, null, attempts, null);
      }
      await pause(againMilliseconds);
    }
  }

  #record(
    skuId: string,
    key: string,
    wish: Wish,
    times: Pick<Operation, "askedAt" | "answeredAt">,
    answer: Answer | null,
    attempts: number,
    holdId: string | null,
  ): Recorded {
    return {
      skuId,
      operation: { key, client: this.#settings.name, ...times, wish, answer },
      attempts,
      holdId,
    };
  }
}

const client = new Client(JSON.parse(process.argv[2] ?? "") as ClientSettings);
process.on("message", (message: ToClient) => client.hear(message));
await Promise.all(Array.from({ length: lanes }, () => client.run((recorded) => process.send?.(recorded))));
// What was told last must have left before the process does.
process.send?.("over", () => process.disconnect());

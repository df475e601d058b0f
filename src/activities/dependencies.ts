import type { Client } from "@temporalio/client";
import type { Logger } from "pino";
import type { Database } from "../db/connection.ts";
import type { Mailer, Texter } from "../integrations/ports/messages.ts";
import type { SalesChannel, ShopKey } from "../integrations/ports/sales-channel.ts";
import type { OrderSyncPlace, OrderSyncStep, ProofOutcome } from "../workflows/messages.ts";

/** How people are told of alerts. */
export interface Alerting {
  readonly mailer: Mailer;
  readonly texter: Texter;
  /** 32 bytes; opens phone numbers. */
  readonly secretKey: Buffer;
  /** Who looks after the installation; null: nobody has said. */
  readonly engineeringEmail: string | null;
  /** Whether people are told of low stock at all. */
  readonly lowStockAlerts: boolean;
}

/** What activities work with; built at the entry point and handed in. */
export interface ActivityDependencies {
  /** Acts as `cf_app`. */
  readonly db: Database;
  readonly channel: SalesChannel;
  readonly client: Client;
  readonly logger: Logger;
  readonly alerting: Alerting;
  /** Takes in one page of a shop's changed orders; the intake's work, of which activities know nothing. */
  readonly takeInChangedOrders: (shop: ShopKey, place: OrderSyncPlace | null) => Promise<OrderSyncStep>;
  /** Proves everything that must hold, from outside; the proof's work, of which activities know nothing. */
  readonly prove: () => Promise<ProofOutcome>;
  /** Keeps the task queues of one test apart from another's; empty in production. */
  readonly queuePrefix: string;
  /** Told of each number that the channel has confirmed: seconds since it was wrong. */
  readonly pushConfirmed?: (seconds: number) => void;
}

import type { Client } from "@temporalio/client";
import type { Logger } from "pino";
import type { Database } from "../db/connection.ts";
import type { PushAsked } from "../db/outbox.ts";
import type { SkuId, TenantId } from "../domain/ids.ts";
import type { SalesChannel } from "../integrations/ports/sales-channel.ts";

/** What the intake works with; built at the entry point and handed in. */
export interface IntakeDependencies {
  /** Acts as `cf_dispatcher`: claims across tenants, then enters one. */
  readonly db: Database;
  readonly channel: SalesChannel;
  readonly client: Client;
  /**
   * Begins to push SKUs' offers in this process, and marks the messages that ask for it when that has worked or was left to the
   * entity; false when it has too much to do. Absent where the entities push.
   */
  readonly beginPush?: (
    tenantId: TenantId,
    skuId: SkuId,
    asked: readonly PushAsked[],
    causedAt: string,
  ) => boolean;
  /** 32 bytes; encrypts recipients. */
  readonly secretKey: Buffer;
  readonly logger: Logger;
  /** Keeps the task queues of one test apart from another's; empty in production. */
  readonly queuePrefix: string;
  /** How much faster durations pass than on the clock. */
  readonly timeScale: number;
  /** Milliseconds between two polls of a shop's orders, already scaled; also how far each looks back at least. */
  readonly orderSyncMilliseconds: number;
  /** Milliseconds between two looks at a shop's listings, already scaled. */
  readonly inventorySyncMilliseconds: number;
}

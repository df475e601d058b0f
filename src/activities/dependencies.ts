import type { Client } from "@temporalio/client";
import type { Logger } from "pino";
import type { Database } from "../db/connection.ts";
import type { SalesChannel } from "../integrations/ports/sales-channel.ts";

/** What activities work with; built at the entry point and handed in. */
export interface ActivityDependencies {
  /** Acts as `cf_app`. */
  readonly db: Database;
  readonly channel: SalesChannel;
  readonly client: Client;
  readonly logger: Logger;
  /** Keeps the task queues of one test apart from another's; empty in production. */
  readonly queuePrefix: string;
}

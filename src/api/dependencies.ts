import type { IncomingHttpHeaders } from "node:http";
import type { Client } from "@temporalio/client";
import type { Logger } from "pino";
import type { Database } from "../db/connection.ts";

/** Requests a minute before 429; webhooks are not counted. */
export interface RateLimits {
  readonly globalPerMinute: number;
  readonly userPerMinute: number;
  readonly addressPerMinute: number;
}

export const rateLimitsDefault: RateLimits = {
  globalPerMinute: 1_000,
  userPerMinute: 100,
  addressPerMinute: 500,
};

export interface MetricsDependencies {
  readonly metrics: {
    readonly contentType: string;
    render(): Promise<string>;
    requestAnswered(method: string, route: string, status: number, seconds: number): void;
  };
  /** Whether figures may be told to who sent these headers from this address. */
  readonly mayRead: (caller: {
    readonly headers: IncomingHttpHeaders;
    readonly peer: string | undefined;
  }) => boolean;
}

/** What the API is handed; it builds none of it. */
export interface ApiDependencies {
  /** In the role `cf_app`. */
  readonly db: Database;
  /** In the role `cf_ingest`. */
  readonly ingestDb: Database;
  /** May be connected lazily: nothing but writes needs it. */
  readonly temporal: Client;
  /** Of the Workers' task queues; empty in production. */
  readonly queuePrefix: string;
  readonly tiktokApp: {
    readonly key: string;
    readonly secret: string;
    readonly previousSecret: string | null;
  };
  /** 32 bytes; what is secret or personal at rest. */
  readonly secretKey: Buffer;
  readonly logger: Logger;
  /** How people reach us; the issuer of our tokens. */
  readonly publicUrl: string;
  /** Where operators find the Temporal Web UI; null when nowhere. */
  readonly temporalUiUrl: string | null;
  /** Names of the migrations that the database lacks. */
  readonly findPendingMigrations: () => Promise<readonly string[]>;
  readonly rateLimits?: RateLimits;
  /** Addresses of our own proxies; without them forwarded addresses are not believed. */
  readonly trustProxy?: string[] | false;
  readonly now?: () => Date;
  /** Without it nothing is measured, and there is no `/metrics`. */
  readonly measuring?: MetricsDependencies;
}

import { type Database, openDatabase } from "../db/connection.ts";

/** The pools of an API process. None keeps a caller waiting long for a connection: "try again" must be said in time. */
export interface ApiDatabases {
  /** In the role `cf_app`. */
  readonly db: Database;
  /** In the role `cf_ingest`. */
  readonly ingestDb: Database;
  /** In the role `cf_report`: sees all sellers and writes nothing, for the figures. */
  readonly reportDb: Database;
}

const connectTimeoutMilliseconds = 1_000;

export function openApiDatabases(url: string, poolSize: number): ApiDatabases {
  const common = { url, poolSize, connectTimeoutMilliseconds };
  return {
    db: openDatabase({ ...common, role: "cf_app" }),
    // TikTok Shop waits for 3 seconds: a slower insert helps nobody.
    ingestDb: openDatabase({ ...common, role: "cf_ingest", statementTimeoutMilliseconds: 1_500 }),
    reportDb: openDatabase({
      ...common,
      role: "cf_report",
      poolSize: 1,
      statementTimeoutMilliseconds: 5_000,
    }),
  };
}

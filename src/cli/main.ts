import { configOrExit, loadConfig } from "../config.ts";
import { sql } from "kysely";
import { type Database, openDatabase, refusePrivilegedLogin } from "../db/connection.ts";
import { migrate } from "../db/migrate.ts";
import { countUntold, queueRecovery } from "../db/recovery.ts";
import { seedDemo } from "../embedded/demo.ts";
import { demoPassword, homeSecretKey } from "../embedded/home.ts";
import { proofStatementMilliseconds, prove } from "../proof/proof.ts";
import { type ApiClient, findRunning, findSurroundings, logIn } from "./client.ts";
import type { CommandContext } from "./context.ts";
import { CommandFailure } from "./failure.ts";
import { createOutput } from "./output.ts";
import { runCommandLine } from "./program.ts";

/** The command line: connects the commands with the API, the database and the simulator of this place. */
function createContext(json: boolean): CommandContext {
  const config = configOrExit(loadConfig);
  let client: Promise<ApiClient> | null = null;
  const running = () => findRunning(config.home);

  return {
    output: createOutput({ json }),
    api: () => {
      client ??= findSurroundings(config.home, config.client).then(logIn);
      return client;
    },
    async simulatorUrl() {
      const url = (await running())?.simulatorUrl ?? null;
      if (url !== null) return url;
      throw new CommandFailure(
        3,
        "No simulator runs here.",
        "`npm start` starts one unless TikTok credentials are set.",
      );
    },
    async migrate() {
      const here = await running();
      const url = config.database.url ?? here?.databaseUrl;
      const migrationUrl = config.database.migrationUrl ?? here?.migrationUrl;
      if (url === undefined || migrationUrl === undefined || migrationUrl === null) {
        throw new CommandFailure(
          3,
          "Nothing says which database to migrate.",
          "Set DATABASE_URL (the processes' login) and MIGRATION_DATABASE_URL (the owner's), or run `npm start`.",
        );
      }
      const target = { url, migrationUrl };
      return { applied: await migrate(target), target };
    },
    async seed() {
      const here = await running();
      const databaseUrl = config.database.url ?? here?.databaseUrl;
      const simulatorUrl = here?.simulatorUrl ?? config.tiktokShop.apiUrl;
      if (databaseUrl === undefined) {
        throw new CommandFailure(
          3,
          "Nothing says which database to seed.",
          "Set DATABASE_URL, or run `npm start`.",
        );
      }
      return await seedDemo({
        databaseUrl,
        simulatorUrl,
        secretKey: config.database.url === null ? await homeSecretKey(config.home) : config.secretKey,
        password: await demoPassword(config.home, config.demo.password),
        log: () => undefined,
      });
    },
    async prove(settleSeconds) {
      const here = await running();
      const url = config.database.url ?? here?.databaseUrl;
      if (url === undefined) {
        throw new CommandFailure(
          3,
          "Nothing says which database to check.",
          "Set DATABASE_URL, or run `npm start`.",
        );
      }
      const db = openDatabase({
        url,
        role: "cf_report",
        poolSize: 1,
        statementTimeoutMilliseconds: proofStatementMilliseconds,
      });
      const recordIn = openDatabase({ url, role: "cf_dispatcher", poolSize: 1 });
      try {
        await reach(db, url);
        await refusePrivilegedLogin(db);
        return await prove({ db, simulatorUrl: here?.simulatorUrl ?? null, settleSeconds, recordIn });
      } finally {
        await Promise.all([db.destroy(), recordIn.destroy()]);
      }
    },
    async recover(follow) {
      const url = config.database.url ?? (await running())?.databaseUrl;
      if (url === undefined) {
        throw new CommandFailure(
          3,
          "Nothing says which database to recover from.",
          "Set DATABASE_URL, or run `npm start`.",
        );
      }
      const db = openDatabase({
        url,
        role: "cf_dispatcher",
        poolSize: 1,
        statementTimeoutMilliseconds: 600_000,
      });
      try {
        await reach(db, url);
        await refusePrivilegedLogin(db);
        const queued = await queueRecovery(db);
        await follow(queued, () => countUntold(db, queued.recoveryId));
      } finally {
        await db.destroy();
      }
    },
  };
}

async function reach(db: Database, url: string): Promise<void> {
  await sql`select 1`.execute(db).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFailure(
      3,
      `The database at ${new URL(url).host} does not answer (${why}).`,
      "If `npm start` was killed, start it again: it goes on where it ended.",
    );
  });
}

const words = process.argv.slice(2);
process.exitCode = await runCommandLine(words, createContext(words.includes("--json")));

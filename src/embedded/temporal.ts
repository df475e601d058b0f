import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Connection } from "@temporalio/client";
import { refuseTakenPort } from "./ports.ts";
import { type RunningProcess, startProcess } from "./processes.ts";

export interface EmbeddedTemporalOptions {
  /** The `temporal` program. */
  readonly program: string;
  /** Folder for `temporal.db`; null keeps everything in memory. */
  readonly home: string | null;
  readonly port: number;
  /** Port of the Web UI; null starts without it. */
  readonly uiPort: number | null;
  readonly namespace: string;
  readonly searchAttributes: readonly { readonly name: string; readonly type: string }[];
  readonly logFile?: string;
}

export interface EmbeddedTemporal {
  readonly address: string;
  readonly uiUrl: string | null;
  readonly process: RunningProcess;
  stop(): Promise<void>;
}

const startSecondsMax = 30;

/**
 * Starts the Temporal dev server on 127.0.0.1 and waits until its namespace and its Web UI answer.
 *
 * @throws Error naming TEMPORAL_PORT or TEMPORAL_UI_PORT when it is taken, or with the server's last lines when it does
 *   not come up.
 */
export async function startTemporal(options: EmbeddedTemporalOptions): Promise<EmbeddedTemporal> {
  await refuseTakenPort(options.port, "TEMPORAL_PORT", "the embedded Temporal server");
  if (options.uiPort !== null)
    await refuseTakenPort(options.uiPort, "TEMPORAL_UI_PORT", "the Temporal Web UI");
  if (options.home !== null) await fs.mkdir(options.home, { recursive: true });

  const server = startProcess({
    name: "temporal",
    command: options.program,
    args: serverArguments(options),
    // Its database loses nothing when it is killed.
    graceSeconds: 2,
    ...(options.logFile === undefined ? {} : { logFile: options.logFile }),
  });
  const address = `127.0.0.1:${options.port}`;
  const uiUrl = options.uiPort === null ? null : `http://127.0.0.1:${options.uiPort}`;
  try {
    await untilServing(server, address, uiUrl, options.namespace);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { address, uiUrl, process: server, stop: () => server.stop() };
}

function serverArguments(options: EmbeddedTemporalOptions): string[] {
  const file =
    options.home === null
      ? []
      : [
          ...["--db-filename", path.resolve(options.home, "temporal.db")],
          // Twice the speed of the default; a killed process loses nothing with either.
          ...["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"],
        ];
  const ui =
    options.uiPort === null ? ["--headless"] : ["--ui-ip", "127.0.0.1", "--ui-port", String(options.uiPort)];
  return [
    ...["server", "start-dev", "--ip", "127.0.0.1", "--port", String(options.port)],
    ...["--namespace", options.namespace, "--log-level", "warn"],
    ...file,
    ...ui,
    // A tenant's burst must not starve the others: priority works by itself, fairness keys have to be switched on.
    ...["--dynamic-config-value", "matching.enableFairness=true"],
    // What has been worked off stays in the lists that are looked through for each new task until it is acknowledged.
    ...["transfer", "timer", "visibility"].flatMap((queue) => [
      "--dynamic-config-value",
      `history.${queue}ProcessorUpdateAckInterval="5s"`,
    ]),
    // The server tells of a run whose tasks have failed so often in a row (`src/intake/stuck-workflows.ts`).
    ...["--dynamic-config-value", "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2"],
    ...options.searchAttributes.flatMap(({ name, type }) => [
      "--search-attribute",
      `${name}=${typeName(type)}`,
    ]),
  ];
}

/** The SDK spells types as KEYWORD_LIST, the command line as KeywordList. */
function typeName(type: string): string {
  return type
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase())
    .join("");
}

async function untilServing(
  server: RunningProcess,
  address: string,
  uiUrl: string | null,
  namespace: string,
): Promise<void> {
  const deadline = Date.now() + startSecondsMax * 1000;
  while (Date.now() < deadline) {
    if (server.hasEnded()) {
      throw new Error(
        `The Temporal server ended while starting (${await server.ended}):\n${server.lastLines().join("\n")}`,
      );
    }
    // The page itself is there at once; its API answers about a second later.
    const serving =
      (await namespaceAnswers(address, namespace)) &&
      (uiUrl === null || (await pageAnswers(`${uiUrl}/api/v1/namespaces/${namespace}/workflows`)));
    if (serving) return;
    await pause(50);
  }
  throw new Error(
    `The Temporal server did not answer within ${startSecondsMax} s:\n${server.lastLines().join("\n")}`,
  );
}

async function namespaceAnswers(address: string, namespace: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: "1 second" });
    try {
      await connection.workflowService.describeNamespace({ namespace });
      return true;
    } finally {
      await connection.close();
    }
  } catch {
    return false;
  }
}

async function pageAnswers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

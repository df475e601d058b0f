import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { commandOf } from "./processes.ts";

/**
 * What one `npm start` leaves in its folder for the next one and for the command line: who runs here, where its parts
 * are reached, the key that encrypts at rest, the demo accounts' password. Everything secret is readable by us alone.
 */

/** `running.json`: present while a start runs. */
const runningSchema = z.object({
  pid: z.number().int(),
  /** Absent until everything is up. */
  addresses: z
    .object({
      apiUrl: z.string(),
      databaseUrl: z.string(),
      migrationUrl: z.string().nullable(),
      temporalAddress: z.string(),
      temporalUiUrl: z.string().nullable(),
      simulatorUrl: z.string().nullable(),
    })
    .optional(),
});
export type RunningAddresses = NonNullable<z.output<typeof runningSchema>["addresses"]>;

/** `demo.json`: what the command line logs in with. */
const demoSchema = z.object({ apiUrl: z.string(), email: z.string(), password: z.string() });

/**
 * Takes a folder for this process, so that two starts never work on the same data.
 *
 * @throws Error naming the process that runs there.
 */
export async function takeHome(folder: string): Promise<void> {
  await fs.mkdir(folder, { recursive: true });
  const file = path.join(folder, "running.json");
  const mine = `${JSON.stringify({ pid: process.pid })}\n`;
  for (const attempt of ["first", "after what a killed start left was removed"]) {
    try {
      await fs.writeFile(file, mine, { flag: "wx", mode: 0o600 });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt !== "first") throw error;
      await refuseSecondStart(folder, file);
      await fs.rm(file, { force: true });
    }
  }
}

async function refuseSecondStart(folder: string, file: string): Promise<void> {
  const running = runningSchema.safeParse(await readJson(file));
  if (!running.success) return;
  const { pid, addresses } = running.data;
  if (pid === process.pid || (await commandOf(pid))?.includes("embedded/start") !== true) return;
  const where = addresses === undefined ? "is starting" : `runs at ${addresses.apiUrl}`;
  throw new Error(
    `CreatorFlow already ${where} on the data in ${folder} (process ${pid}). Stop it first, or start another one with its own CREATORFLOW_HOME and ports.`,
  );
}

/** Writes down where everything is reached, for the command line. */
export async function publishAddresses(folder: string, addresses: RunningAddresses): Promise<void> {
  await writeSecret(path.join(folder, "running.json"), { pid: process.pid, addresses });
}

export async function leaveHome(folder: string): Promise<void> {
  const file = path.join(folder, "running.json");
  const running = runningSchema.safeParse(await readJson(file));
  if (running.success && running.data.pid === process.pid) await fs.rm(file, { force: true });
}

/** The key that this folder's data is encrypted with: 32 bytes, made at the first start. */
export async function homeSecretKey(folder: string): Promise<Buffer> {
  const file = path.join(folder, "secret-key");
  const kept = await fs.readFile(file, "utf8").catch(() => null);
  if (kept !== null) {
    const key = Buffer.from(kept, "base64");
    if (key.length !== 32) throw new Error(`${file} must hold 32 bytes in base64.`);
    return key;
  }
  const key = randomBytes(32);
  await fs.writeFile(file, `${key.toString("base64")}\n`, { mode: 0o600, flag: "wx" });
  return key;
}

/** The password of the demo accounts: the one given, else that of the start before, else a new random one. */
export async function demoPassword(folder: string, given: string | null): Promise<string> {
  const kept = demoSchema.safeParse(await readJson(path.join(folder, "demo.json")));
  return given ?? (kept.success ? kept.data.password : randomBytes(12).toString("base64url"));
}

export async function publishDemo(folder: string, demo: z.input<typeof demoSchema>): Promise<void> {
  await writeSecret(path.join(folder, "demo.json"), demo);
}

async function writeSecret(file: string, content: object): Promise<void> {
  const unfinished = `${file}.unfinished`;
  await fs.writeFile(unfinished, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  await fs.rename(unfinished, file);
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await fs.readFile(file, "utf8"));
  } catch {
    return null;
  }
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  demoPassword,
  homeSecretKey,
  leaveHome,
  publishAddresses,
  publishDemo,
  takeHome,
} from "../../src/embedded/home.ts";
import { describeStart } from "../../src/embedded/summary.ts";
import { commandOf } from "../../src/embedded/processes.ts";
import { until } from "../support/until.ts";

let home: string;
beforeEach(async () => {
  home = path.join(await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-home-")), "data");
});
afterEach(async () => {
  await fs.rm(path.dirname(home), { recursive: true, force: true });
});

const runningFile = (): string => path.join(home, "running.json");
const modeOf = async (name: string): Promise<number> => (await fs.stat(path.join(home, name))).mode & 0o777;

describe("the folder of a start", () => {
  it("belongs to one start at a time: a second one is told who has it and where it runs", async () => {
    const other = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60_000)", "src/embedded/start.ts"]);
    try {
      await until("the other start runs", async () =>
        (await commandOf(other.pid!))?.includes("embedded/start"),
      );
      await takeHome(home);
      await publishAddresses(home, {
        apiUrl: "http://127.0.0.1:3000",
        databaseUrl: "postgres://db",
        migrationUrl: null,
        temporalAddress: "127.0.0.1:7233",
        temporalUiUrl: null,
        simulatorUrl: null,
      });
      const running = JSON.parse(await fs.readFile(runningFile(), "utf8")) as object;
      await fs.writeFile(runningFile(), JSON.stringify({ ...running, pid: other.pid }));
      await expect(takeHome(home)).rejects.toThrow(
        `CreatorFlow already runs at http://127.0.0.1:3000 on the data in ${home} (process ${other.pid}).`,
      );
      await leaveHome(home);
      expect(await fs.readFile(runningFile(), "utf8"), "another start's mark stays").toContain(
        String(other.pid),
      );
    } finally {
      other.kill("SIGKILL");
      await once(other, "exit");
    }
    await expect(takeHome(home), "its process was killed").resolves.toBeUndefined();
  });

  it("is not blocked by a number that another program has by now", async () => {
    await fs.mkdir(home);
    await fs.writeFile(runningFile(), JSON.stringify({ pid: process.ppid }));
    await takeHome(home);
    expect(JSON.parse(await fs.readFile(runningFile(), "utf8"))).toEqual({ pid: process.pid });
    await leaveHome(home);
    await expect(fs.access(runningFile())).rejects.toThrow(/ENOENT/);
  });

  it("keeps its secret key over starts, readable by us alone, and another folder has another", async () => {
    await fs.mkdir(home);
    const key = await homeSecretKey(home);
    expect(key).toHaveLength(32);
    expect(await homeSecretKey(home)).toEqual(key);
    expect(await modeOf("secret-key")).toBe(0o600);
    await fs.rm(path.join(home, "secret-key"));
    expect(await homeSecretKey(home)).not.toEqual(key);
  });

  it("refuses a secret key that was cut short, instead of making what is encrypted unreadable", async () => {
    await fs.mkdir(home);
    await fs.writeFile(path.join(home, "secret-key"), "c2hvcnQ=");
    await expect(homeSecretKey(home)).rejects.toThrow(/must hold 32 bytes in base64/);
  });

  it("keeps the demo password over starts until one is given", async () => {
    await fs.mkdir(home);
    const first = await demoPassword(home, null);
    await publishDemo(home, {
      apiUrl: "http://127.0.0.1:3000",
      email: "creator@demo.local",
      password: first,
    });
    expect(first.length).toBeGreaterThanOrEqual(16);
    expect(await demoPassword(home, null)).toBe(first);
    expect(await demoPassword(home, "given-by-hand")).toBe("given-by-hand");
    expect(await modeOf("demo.json")).toBe(0o600);
  });
});

describe("the summary of a start", () => {
  const summary = {
    seconds: 4.25,
    apiUrl: "http://127.0.0.1:3000",
    temporalUiUrl: "http://127.0.0.1:8233",
    temporalNamespace: "default",
    simulatorUrl: "http://127.0.0.1:3900",
    demo: { accounts: ["creator@demo.local"], password: "the-password" },
    logFolder: "/home/logs",
  };

  it("says where everything is, how to log in, and which orders need a person", () => {
    const text = describeStart(summary);
    for (const part of [
      "http://127.0.0.1:3000/docs",
      "http://127.0.0.1:8233/namespaces/default/workflows?query=CfNeedsAttention%3Dtrue",
      "http://127.0.0.1:3900/",
      "creator@demo.local",
      "the-password",
      "npm run cli",
      "Ctrl-C",
    ]) {
      expect(text).toContain(part);
    }
  });

  it("says nothing of parts that were not started", () => {
    const text = describeStart({ ...summary, temporalUiUrl: null, simulatorUrl: null, demo: null });
    expect(text).not.toMatch(/Temporal|simulator|Password|null/);
  });
});

import { spawn } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { commandOf, startProcess } from "../../src/embedded/processes.ts";
import { createStack } from "../../src/embedded/stack.ts";
import { until } from "../support/until.ts";

let folder: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-processes-"));
});
afterEach(async () => {
  await fs.rm(folder, { recursive: true, force: true });
});

const shell = (script: string, graceSeconds = 5, onLine?: (line: string) => void) =>
  startProcess({
    name: "child",
    command: "/bin/sh",
    args: ["-c", script],
    graceSeconds,
    ...(onLine === undefined ? {} : { onLine }),
  });

describe("a child process", () => {
  it("is asked to stop and may finish what it does", async () => {
    const lines: string[] = [];
    const child = shell(
      "trap 'echo drained; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
      5,
      (line) => lines.push(line),
    );
    await until("the child is ready", () => lines.includes("ready"));
    await child.stop();
    expect(lines).toEqual(["ready", "drained"]);
    expect(await child.ended).toBe("exit code 0");
  });

  it("is killed after its bound when it does not stop", async () => {
    const child = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done", 1);
    await until("the child is ready", () => child.lastLines().includes("ready"));
    const began = performance.now();
    await child.stop();
    expect(performance.now() - began).toBeGreaterThan(900);
    expect(await child.ended).toBe("exit code 137");
  });

  it("ends when its parent is killed with SIGKILL", async () => {
    const parentFile = path.join(folder, "parent.mts");
    const mark = path.join(folder, "child-id");
    const module = path.resolve(import.meta.dirname, "../../src/embedded/processes.ts");
    await fs.writeFile(
      parentFile,
      `import { startProcess } from ${JSON.stringify(module)};
       startProcess({ name: "orphan", command: "/bin/sh", graceSeconds: 1,
         args: ["-c", ${JSON.stringify(`echo $$ > ${mark}; while :; do sleep 0.05; done`)}] });`,
    );
    const parent = spawn(process.execPath, ["--import", "tsx", parentFile], { stdio: "ignore" });
    const childId = await until(
      "the child has written its id",
      async () => Number(await fs.readFile(mark, "utf8")) || null,
    );
    expect(await commandOf(childId)).toContain(mark);
    parent.kill("SIGKILL");
    await until("the child has ended", async () => (await commandOf(childId)) === null);
  });

  it("keeps its newest lines for a message and all of them in its log file", async () => {
    const logFile = path.join(folder, "logs/child.log");
    const child = startProcess({
      name: "child",
      command: "/bin/sh",
      args: ["-c", "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; exit 3"],
      graceSeconds: 1,
      logFile,
    });
    expect(await child.ended).toBe("exit code 3");
    expect(child.lastLines()).toHaveLength(40);
    expect(child.lastLines().at(-1)).toBe("line 99");
    await until(
      "the log is written",
      async () => (await fs.readFile(logFile, "utf8")).split("\n").length === 101,
    );
  });
});

describe("the processes of one start", () => {
  it("break up when one ends that nobody asked to, saying which, how, and its last lines", async () => {
    const stack = createStack();
    stack.add(shell("while :; do sleep 0.05; done"), "ground");
    stack.add(shell("echo the disk is full; exit 9"), "work");
    await expect(stack.broken).rejects.toThrow(
      /child ended unexpectedly \(exit code 9\)\. Its last lines:\n {2}the disk is full/,
    );
    await stack.stop();
  });

  it("stop in order: who works first, what they stand on last", async () => {
    const order: string[] = [];
    const member = (name: string) => {
      const child = shell(`trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done`);
      void child.ended.then(() => order.push(name));
      return child;
    };
    const stack = createStack();
    const [database, worker, temporal] = [member("database"), member("worker"), member("temporal")];
    stack.add(database, "ground");
    stack.add(worker, "work");
    stack.add(temporal, "support");
    for (const child of [database, worker, temporal]) {
      await until("the child is ready", () => child.lastLines().includes("ready"));
    }
    await stack.stop();
    expect(order).toEqual(["worker", "temporal", "database"]);
  });
});

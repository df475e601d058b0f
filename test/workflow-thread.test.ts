import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

/** A thread that does what the SDK does in those that run workflows: it hooks into promises, and awaits in another context. */
const thread = `
import v8 from "node:v8";
import vm from "node:vm";
import { AsyncLocalStorage } from "node:async_hooks";
import { parentPort } from "node:worker_threads";
let hooked = 0;
v8.promiseHooks.createHook({ init() { hooked += 1; } });
const storage = new AsyncLocalStorage();
const context = vm.createContext({ storage });
const code = "(async () => { await null; await Promise.resolve(); return storage.getStore(); })()";
const found = await storage.run("its own", () => vm.runInContext(code, context));
parentPort.postMessage({ hooked: hooked > 0, found });
`;
const main = `
import { Worker } from "node:worker_threads";
new Worker(new URL("thread.mjs", import.meta.url)).on("message", (message) => console.log(JSON.stringify(message)));
`;

test.each([
  [[], { hooked: true, found: "its own" }],
  [["--import", path.resolve("src/workflow-thread.js")], { hooked: false, found: "its own" }],
])(
  "a thread of workflows finds its own scope after each wait, with or without hooks: %j",
  async (options, expected) => {
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-thread-"));
    onTestFinished(() => fs.rm(folder, { recursive: true }));
    await fs.writeFile(path.join(folder, "thread.mjs"), thread);
    await fs.writeFile(path.join(folder, "main.mjs"), main);
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...options,
      path.join(folder, "main.mjs"),
    ]);
    expect(JSON.parse(stdout)).toEqual(expected);
  },
);

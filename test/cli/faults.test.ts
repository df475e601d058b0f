import fs from "node:fs/promises";
import path from "node:path";
import { expect, test, vi } from "vitest";
import type { CommandContext } from "../../src/cli/context.ts";
import { createOutput } from "../../src/cli/output.ts";
import { runCommandLine } from "../../src/cli/program.ts";
import { givenSimulator, temporaryFolder } from "../simulator/support.ts";

/** Runs a line against a simulator, for its exit code and what it printed. */
async function run(simulatorUrl: string, line: string) {
  let printed = "";
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, "write").mockImplementation((text) => {
      printed += String(text);
      return true;
    }),
  );
  const nowhere = () => Promise.reject(new Error("only the simulator runs here"));
  const context: CommandContext = {
    output: createOutput({ json: true }),
    simulatorUrl: () => Promise.resolve(simulatorUrl),
    api: nowhere,
    migrate: nowhere,
    seed: nowhere,
    prove: nowhere,
    recover: nowhere,
  };
  try {
    return { exitCode: await runCommandLine(line.split(" "), context), printed };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

test("faults are set by shares or by a file, shown with what they did, and cleared", async () => {
  const { url } = await givenSimulator();
  const every = [
    ..."lose duplicate delay reorder forge too-many-requests server-error slow truncated malformed".split(
      " ",
    ),
    ..."wrong-types reset timeout-before timeout-after partial unreadable".split(" "),
  ].map((name) => `--${name} 1`);
  const set = await run(url, `simulate faults set --seed storm ${every.join(" ")}`);
  expect(set.exitCode).toBe(0);
  const { plan } = JSON.parse(set.printed) as { plan: { webhooks: object; calls: object[]; seed: string } };
  expect(plan.seed).toBe("storm");
  expect(Object.keys(plan.webhooks)).toHaveLength(5);
  expect(plan.calls).toHaveLength(10);
  expect(plan).toHaveProperty("unreadable.percent", 1);

  const file = path.join(await temporaryFolder(), "plan.json");
  await fs.writeFile(file, JSON.stringify({ calls: [{ fault: "reset", next: 3 }] }));
  expect((await run(url, `simulate faults set --plan ${file}`)).exitCode).toBe(0);
  expect(JSON.parse((await run(url, "simulate faults show")).printed)).toMatchObject({
    plan: { webhooks: {}, calls: [{ fault: "reset", next: 3 }] },
  });
  expect(JSON.parse((await run(url, "simulate faults clear")).printed)).toMatchObject({
    plan: { calls: [] },
  });
});

test.each([
  ["simulate faults set", 2, "at least one fault"],
  ["simulate faults set --lose 0", 2, "above 0"],
  ["simulate faults set --plan /nowhere/plan.json", 2, "holds no plan"],
])("%s ends with code %i and says why", async (line, code, why) => {
  const { url } = await givenSimulator();
  const { exitCode, printed } = await run(url, line);
  expect(exitCode).toBe(code);
  expect(printed).toContain(why);
});

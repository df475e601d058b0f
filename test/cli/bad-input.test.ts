import fs from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type ApiClient, logIn } from "../../src/cli/client.ts";
import type { CommandContext } from "../../src/cli/context.ts";
import { createOutput } from "../../src/cli/output.ts";
import { runCommandLine } from "../../src/cli/program.ts";
import { type ApiBed, password, type Seller, startApiBed } from "../api/api-bed.ts";
import { givenSimulator, temporaryFolder } from "../simulator/support.ts";

/** Command lines that ask for nothing that could be done, against a real API, database and simulator. */
let bed: ApiBed;
let seller: Seller;
let client: Promise<ApiClient>;
let apiUrl: string;
/** Commands with an effect of their own that were let through. */
const reached: string[] = [];

beforeAll(async () => {
  bed = await startApiBed();
  seller = await bed.addSeller();
  await bed.addSku(seller, { code: "TEE" });
  apiUrl = await bed.app.listen({ host: "127.0.0.1", port: 0 });
  const { email } = seller.users.admin;
  client = logIn({ apiUrl, email, password, simulatorUrl: null });
  await client;
});
afterAll(() => bed.close());

async function run(words: readonly string[], simulatorUrl = "http://127.0.0.1:1") {
  const written = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  const reach = (name: string) => () => {
    reached.push(name);
    return Promise.reject(new Error(`${name} was reached`));
  };
  const context: CommandContext = {
    output: createOutput({ json: false }),
    api: () => client,
    simulatorUrl: () => Promise.resolve(simulatorUrl),
    migrate: reach("migrate"),
    seed: reach("seed"),
    prove: reach("prove"),
    recover: reach("recover"),
  };
  try {
    return { exitCode: await runCommandLine(words, context), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

interface Command {
  readonly words: readonly string[];
  /** Options that must be there, in a form that is right. */
  readonly needs?: Readonly<Record<string, string>>;
  /** Options and what they must not be. */
  readonly wrong?: Readonly<Record<string, readonly string[]>>;
  readonly argument?: "needed" | "possible";
}

const noNumbers = [
  "",
  " ",
  "many",
  "1.5",
  "1e3",
  "0x10",
  "NaN",
  "Infinity",
  "9".repeat(30),
  "\u0000",
  "\ud800",
  "１",
];
const noCounts = [...noNumbers, "0", "-1", "100001"];
const noShares = ["", "0", "-1", "100.1", "1e1", "0x10", "many", "Infinity", "\u0000"];
const texts = ["\u0000", "\ud800", "x".repeat(10_000), "../../etc/passwd", "%00"];
const faultNames = [
  ...["lose", "duplicate", "delay", "reorder", "forge", "too-many-requests", "server-error", "slow"],
  ...[
    "truncated",
    "malformed",
    "wrong-types",
    "reset",
    "timeout-before",
    "timeout-after",
    "partial",
    "unreadable",
  ],
];
const pages = { "--limit": [...noNumbers, "0", "-1", "201"], "--cursor": ["", "no cursor", "\u0000"] };

const commands: Readonly<Record<string, Command>> = {
  "orders list": {
    words: ["orders", "list"],
    wrong: {
      "--status": ["lost", ""],
      "--hold": ["lost"],
      "--search": ["\u0000", "x".repeat(201)],
      ...pages,
    },
  },
  "orders show": { words: ["orders", "show"], argument: "needed" },
  "orders shortage": {
    words: ["orders", "shortage"],
    argument: "needed",
    needs: { "--course": "wait" },
    wrong: { "--course": ["", "hope", "propose_cancelling"] },
  },
  "orders shortage-policy": { words: ["orders", "shortage-policy"], wrong: { "--set": ["", "hope"] } },
  "stock show": { words: ["stock", "show"], argument: "possible", wrong: { "--limit": pages["--limit"] } },
  "stock adjust": {
    words: ["stock", "adjust"],
    argument: "needed",
    needs: { "--quantity": "1", "--reason": "counted" },
    wrong: {
      "--quantity": [...noNumbers, "0", "10001", "-10001"],
      "--reason": ["", " ", "\u0000", "\ud800", "x".repeat(501)],
    },
  },
  "stock explain": { words: ["stock", "explain"], argument: "needed" },
  "stock count": {
    words: ["stock", "count"],
    argument: "needed",
    needs: { "--on-hand": "1", "--reason": "counted" },
    wrong: { "--on-hand": [...noNumbers, "-1", "1000001"], "--reason": ["", " ", "x".repeat(501)] },
  },
  "stock repair-level": {
    words: ["stock", "repair-level"],
    argument: "needed",
    needs: { "--on-hand": "1", "--reason": "counted" },
    wrong: { "--on-hand": [...noNumbers, "-1", "1000001"], "--reason": ["", " ", "x".repeat(501)] },
  },
  "stock threshold": {
    words: ["stock", "threshold"],
    argument: "needed",
    needs: { "--units": "5" },
    wrong: { "--units": [...noNumbers, "-1", "10001"] },
  },
  "stock scan": { words: ["stock", "scan"], argument: "needed" },
  "stock import": { words: ["stock", "import"], argument: "needed" },
  "stock export": { words: ["stock", "export"], wrong: { "--status": ["", "lost"] } },
  "stock sync": { words: ["stock", "sync"], argument: "needed" },
  "stock pause": { words: ["stock", "pause"], argument: "needed" },
  "stock resume": { words: ["stock", "resume"], argument: "needed" },
  "stock offer": {
    words: ["stock", "offer"],
    argument: "needed",
    wrong: {
      "--buffer": [...noNumbers, "-1", "100000"],
      "--buffer-percent": [...noNumbers, "-1", "101"],
      "--drift-rule": ["", "always"],
    },
  },
  "stock drifts": {
    words: ["stock", "drifts"],
    wrong: { "--state": ["", "lost"], "--limit": pages["--limit"] },
  },
  "stock repair": {
    words: ["stock", "repair"],
    argument: "needed",
    needs: { "--how": "push_ours", "--reason": "counted" },
    wrong: { "--how": ["", "theirs"], "--reason": ["", " ", "x".repeat(501)] },
  },
  "stock push-delay": { words: ["stock", "push-delay"], wrong: { "--minutes": [...noNumbers, "0", "1441"] } },
  "alerts list": {
    words: ["alerts", "list"],
    wrong: { "--state": ["", "lost"], "--kind": ["", "lost"], "--severity": ["", "lost"], ...pages },
  },
  "alerts show": { words: ["alerts", "show"], argument: "needed" },
  "alerts acknowledge": { words: ["alerts", "acknowledge"], argument: "needed" },
  "alerts snooze": {
    words: ["alerts", "snooze"],
    argument: "needed",
    needs: { "--hours": "1" },
    wrong: { "--hours": [...noNumbers, "0", "-1", "720"] },
  },
  "alerts resolve": { words: ["alerts", "resolve"], argument: "needed" },
  "approvals list": { words: ["approvals", "list"], wrong: { "--state": ["", "lost"], ...pages } },
  "approvals show": { words: ["approvals", "show"], argument: "needed" },
  "approvals approve": { words: ["approvals", "approve"], argument: "needed" },
  "approvals reject": { words: ["approvals", "reject"], argument: "needed" },
  "deliveries list": {
    words: ["deliveries", "list"],
    wrong: { "--state": ["lost", ""], "--order": ["", "\u0000", "x".repeat(101)], ...pages },
  },
  "deliveries replay": {
    words: ["deliveries", "replay"],
    argument: "possible",
    wrong: { "--state": ["waiting", ""] },
  },
  "shops list": { words: ["shops", "list"] },
  "simulate burst": {
    words: ["simulate", "burst"],
    needs: { "--orders": "5", "--skus": "1", "--stock": "5" },
    wrong: { "--orders": noCounts, "--skus": [...noCounts, "41"], "--stock": noCounts },
  },
  "simulate faults show": { words: ["simulate", "faults", "show"] },
  "simulate faults clear": { words: ["simulate", "faults", "clear"] },
  "simulate faults set": {
    words: ["simulate", "faults", "set"],
    wrong: Object.fromEntries(faultNames.map((name) => [`--${name}`, noShares])),
  },
  "db migrate": { words: ["db", "migrate"] },
  "db seed": { words: ["db", "seed"] },
  proof: { words: ["proof"], wrong: { "--settle": [...noNumbers, "-1", "3601"] } },
  recover: { words: ["recover"] },
};

/** Every bad line of a command, with what is bad about it. */
function badLines(name: string, { words, needs = {}, wrong = {}, argument }: Command) {
  const right = Object.entries(needs).flat();
  const subject = argument === "needed" ? ["TEE"] : [];
  const lines: (readonly [what: string, line: readonly string[], exitCodes: readonly number[]])[] = [
    ["an option that there is not", [...words, ...subject, ...right, "--nonsense"], [2]],
    ["words too many", [...words, "TEE", ...right, "more", "and more"], [2]],
  ];
  if (argument === "needed") lines.push(["no argument", [...words, ...right], [2]]);
  if (argument !== undefined)
    for (const text of texts)
      lines.push([`the argument ${JSON.stringify(text).slice(0, 20)}`, [...words, text, ...right], [2, 4]]);
  for (const option of Object.keys(needs)) {
    const others = Object.entries(needs).filter(([other]) => other !== option);
    lines.push([`no ${option}`, [...words, ...subject, ...others.flat()], [2]]);
  }
  for (const [option, values] of Object.entries(wrong)) {
    lines.push([`${option} without a value`, [...words, ...subject, option], [2]]);
    const others = Object.entries(needs).filter(([other]) => other !== option);
    for (const value of values) {
      const line = [...words, ...subject, ...others.flat(), option, value];
      lines.push([`${name} ${option} ${JSON.stringify(value).slice(0, 20)}`, line, [2, 4]]);
    }
  }
  return lines;
}

function expectRefusal(
  { exitCode, stdout, stderr }: Awaited<ReturnType<typeof run>>,
  exitCodes: readonly number[],
  what: string,
): void {
  expect(exitCodes, `${what}: ${stderr}`).toContain(exitCode);
  expect(stdout, what).toBe("");
  const said = stderr.trim().split("\n");
  expect(said[0], what).toMatch(/\S/);
  expect(said.length, `${what}: ${stderr}`).toBeLessThanOrEqual(5);
  expect(stderr, what).not.toMatch(/^\s+at |node:internal|ZodError|URIError|"code":/m);
}

describe("a line that asks for nothing that can be done", () => {
  test.each(Object.entries(commands))(
    "of %s is refused with a reason, and nothing is changed",
    async (name, command) => {
      const before = await bed.fingerprint();
      for (const [what, line, exitCodes] of badLines(name, command))
        expectRefusal(await run(line), exitCodes, what);
      expect(await bed.fingerprint()).toEqual(before);
      expect(reached).toEqual([]);
    },
  );

  test.each([
    ["nonsense"],
    ["orders"],
    ["orders", "nonsense"],
    ["simulate", "faults"],
    ["simulate", "nonsense"],
    ["--nonsense"],
    ["deliveries", "replay"],
  ])("such as %s %s is told what there is, with code 2", async (...line) => {
    const { exitCode, stdout, stderr } = await run(line);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/unknown (?:command|option)|Usage|Name one/);
  });

  test("the table holds every command that the help names", async () => {
    const innermost: string[] = [];
    const waiting: string[][] = [[]];
    for (let words = waiting.pop(); words !== undefined; words = waiting.pop()) {
      const { stdout } = await run([...words, "--help"]);
      const [, list = ""] = stdout.split("Commands:\n");
      const names = [...list.matchAll(/^ {2}([\w-]+)/gm)]
        .map(([, name = ""]) => name)
        .filter((name) => name !== "help");
      if (names.length === 0) innermost.push(words.join(" "));
      for (const name of names) waiting.push([...words, name]);
    }
    expect(innermost.sort()).toEqual(Object.keys(commands).sort());
  });
});

describe("a file", () => {
  test.each([
    ["that is not there", null],
    ["that is empty", ""],
    ["that breaks off", '{"calls": ['],
    ["of a list", "[]"],
    ["of nothing", "null"],
    ["of a text", '"plan"'],
    ["of bytes that are no text", "\u0000\ufffd"],
    ["with a fault that there is not", '{"calls":[{"fault":"nonsense"}]}'],
    ["with a share of the wrong type", '{"webhooks":{"lose":{"percent":"many"}}}'],
    ["with a negative share", '{"webhooks":{"lose":{"percent":-1}}}'],
  ])("%s is refused as a plan, and the plan in force stays", async (what, content) => {
    const { url } = await givenSimulator();
    const plan = async () => await (await fetch(`${url}/_sim/faults`)).json();
    const before = await plan();
    const file = path.join(await temporaryFolder(), `${what}.json`);
    if (content !== null) await fs.writeFile(file, content);
    expectRefusal(await run(["simulate", "faults", "set", "--plan", file], url), [2, 4], what);
    expect(await plan()).toEqual(before);
  });

  test("that may not be read, because it is a folder, is refused as a plan", async () => {
    expectRefusal(
      await run(["simulate", "faults", "set", "--plan", await temporaryFolder()]),
      [2],
      "a folder",
    );
  });
});

test("an address that is no CreatorFlow is said to be none", async () => {
  const { url } = await givenSimulator();
  const surroundings = { apiUrl: url, email: "a@b.example", password, simulatorUrl: null };
  await expect(logIn(surroundings)).rejects.toMatchObject({ exitCode: 4 });
  const answers = { ...surroundings, apiUrl: `${apiUrl}/livez?` };
  await expect(logIn(answers)).rejects.toMatchObject({ exitCode: 4 });
});

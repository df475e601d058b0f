import fs from "node:fs/promises";
import { parse } from "yaml";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { runCommandLine } from "../../src/cli/program.ts";
import type { CommandContext } from "../../src/cli/context.ts";
import { environmentSchema } from "../../src/environment.ts";
import { createApiMetrics, createWorkerMetrics } from "../../src/metrics.ts";
import { blocksOf, readPage } from "./markdown.ts";

/** What the pages for operators and testers tell people to type, and the figures that they name. */
const pages = ["docs/operations.md", "docs/testing.md", "README.md"];

async function commandsOf(page: string): Promise<readonly string[]> {
  return blocksOf(await readPage(page), "sh")
    .flatMap((block) => block.split("\n"))
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line !== "");
}

/** The help of a command of ours; null when there is none of that name. */
async function helpOf(words: readonly string[]): Promise<string | null> {
  const told: string[] = [];
  const tell = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    told.push(String(text));
    return true;
  });
  const complain = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  try {
    const context = { output: { failure: () => undefined } } as unknown as CommandContext;
    const code = await runCommandLine([...words, "--help"], context);
    const help = told.join("");
    return code === 0 && help.includes(`creatorflow ${words.join(" ")}`) ? help : null;
  } finally {
    tell.mockRestore();
    complain.mockRestore();
  }
}

/** What is wrong with a command line of ours; null when it can be typed. */
async function complaintAbout(line: string): Promise<string | null> {
  const words = line.split(/ (?=(?:[^"]*"[^"]*")*[^"]*$)/);
  const end = words.findIndex((word) => !/^[a-z]+(?:-[a-z]+)*$/.test(word));
  const help = await helpOf(end === -1 ? words : words.slice(0, end));
  if (help === null) return `no such command: ${line}`;
  const unknown = words.filter((word) => word.startsWith("--") && !help.includes(word));
  return unknown.length === 0 ? null : `no such option: ${unknown.join(", ")} of ${line}`;
}

describe.each(pages)("%s", (page) => {
  test("names only npm scripts that exist", async () => {
    const { scripts } = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(await readPage("package.json")));
    const named = [...(await readPage(page)).matchAll(/npm run ([a-z:-]+)/g)].map(([, script]) => script);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((script) => scripts[script ?? ""] === undefined)).toEqual([]);
  });

  test("names only commands and options of ours that exist", async () => {
    const complaints: string[] = [];
    for (const command of await commandsOf(page)) {
      const [, ours] = /npm run (?:cli -- )?((?:proof|(?<=cli -- )).*)$/.exec(command) ?? [];
      if (ours === undefined) continue;
      const complaint = await complaintAbout(ours.replace(/^proof -- /, "proof "));
      if (complaint !== null) complaints.push(complaint);
    }
    expect(complaints).toEqual([]);
  });

  test("names only tests and settings that exist", async () => {
    const text = await readPage(page);
    for (const [, path = ""] of text.matchAll(/(?:vitest run |`)((?:test|src|docs)\/[\w./-]+)/g)) {
      await expect(fs.access(new URL(`../../${path}`, import.meta.url)), path).resolves.toBeUndefined();
    }
    const settings = [...text.matchAll(/\b(?:CREATORFLOW|METRICS|WORKER_METRICS|TIKTOK_SHOP)_[A-Z_]+\b/g)];
    const ofTests = [
      "CREATORFLOW_TEST_FULL",
      "CREATORFLOW_CHAOS_SEED",
      "CREATORFLOW_HISTORY_SEED",
      "CREATORFLOW_RECORD_HISTORIES",
      "CREATORFLOW_TEST_WORKFLOW_CACHE",
    ];
    expect([...Object.keys(environmentSchema.shape), ...ofTests]).toEqual(
      expect.arrayContaining(settings.map(([name]) => name)),
    );
  });
});

test("a command that does not exist, and an option that a command does not take, are found", async () => {
  expect(await complaintAbout("orders list --needs-attention")).toBeNull();
  expect(await complaintAbout("orders explode")).toContain("no such command");
  expect(await complaintAbout("orders list --loudly")).toContain("no such option");
});

describe("the figures of docs/operations.md", () => {
  const suffixes = ["", "_bucket", "_count", "_sum"];

  async function namesToldOf(): Promise<ReadonlySet<string>> {
    const pages = [
      createApiMetrics(() => Promise.reject(new Error("away"))),
      createWorkerMetrics("http://127.0.0.1:9/metrics"),
    ];
    const text = (await Promise.all(pages.map((page) => page.render()))).join("\n");
    return new Set(
      [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].flatMap(([, name, type]) =>
        type === "histogram" ? suffixes.map((suffix) => `${name}${suffix}`) : [name ?? ""],
      ),
    );
  }

  const alertFile = z.object({
    groups: z.array(
      z.object({
        name: z.string(),
        rules: z
          .array(
            z.strictObject({
              alert: z.string().regex(/^[A-Z]\w+$/),
              expr: z.string(),
              for: z
                .string()
                .regex(/^\d+[smh]$/)
                .optional(),
              labels: z.strictObject({ severity: z.enum(["critical", "warning"]) }),
            }),
          )
          .min(10),
      }),
    ),
  });

  async function alertRules() {
    const [block = ""] = blocksOf(await readPage("docs/operations.md"), "yaml");
    return alertFile.parse(parse(block)).groups.flatMap(({ rules }) => rules);
  }

  test("exist, each of them", async () => {
    const told = await namesToldOf();
    const text =
      (await readPage("docs/operations.md")) + (await alertRules()).map(({ expr }) => expr).join(" ");
    const named = [...text.matchAll(/\b(?:inventory|creatorflow)_[a-z_0-9]*[a-z0-9]/g)].map(([name]) => name);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !told.has(name) && name !== "inventory_api")).toEqual([]);
  });

  test("are asked for by alert rules that can be read", async () => {
    for (const { alert, expr } of await alertRules())
      expect(isExpression(expr), `${alert}: ${expr}`).toBe(true);
    for (const broken of [
      "max(creatorflow_x > 0",
      "max creatorflow_x > 0",
      "creatorflow_x >",
      "rate(x[5m] > 1)",
    ])
      expect(isExpression(broken), broken).toBe(false);
  });
});

/**
 * Whether a text is an expression of the part of PromQL that our rules use: arithmetic and comparison of numbers, selectors
 * with matchers and ranges, calls and aggregations. Innermost parts are folded into one word until one is left.
 */
function isExpression(text: string): boolean {
  const matcher = String.raw`\w+(?:=~|!~|!=|=)"[^"]*"`;
  const selector = new RegExp(
    String.raw`\b[a-z_]\w*(?:\{${matcher}(?:,${matcher})*\})?(\[\d+[smh]\])?(?![\w({])`,
    "g",
  );
  const grouping = /\b(sum|max|min) by \(\w+(?:, ?\w+)*\) ?(?=\()/g;
  let folded = text
    .replaceAll(grouping, "$1")
    .replaceAll(/\btime\(\)/g, "1")
    .replaceAll(selector, (_all, range: string | undefined) => (range === undefined ? "V" : "R"));
  for (let before = ""; before !== folded; ) {
    before = folded;
    folded = folded
      .replaceAll(/\brate\(R\)/g, "V")
      .replaceAll(/\b(?:sum|max|min)\(V\)/g, "V")
      .replaceAll(/\bhistogram_quantile\(0?\.\d+, V\)/g, "V")
      .replaceAll(/\b(?:V|\d+(?:\.\d+)?) (?:[-+*/]) (?:V|\d+(?:\.\d+)?)\b/g, "V");
  }
  return /^V (?:>|<|>=|<=|==|!=) \d+(?:\.\d+)?$/.test(folded);
}

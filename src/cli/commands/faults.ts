import fs from "node:fs/promises";
import type { Command } from "commander";
import { z } from "zod";
import type { CommandContext } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { percent } from "../numbers.ts";
import { table } from "../output.ts";
import { callSimulator } from "../simulator-controls.ts";

/** What the simulator says of its plan; the plan itself is its own business and shown as it is. */
const faultsAnswer = z.object({
  plan: z.looseObject({ seed: z.string() }),
  injected: z.record(z.string(), z.number()),
  forgeriesAccepted: z.number(),
});

const planOf = {
  duplicate: (percent: number) => ({ webhooks: { duplicate: { percent, copiesMax: 3, concurrent: true } } }),
  delay: (percent: number) => ({ webhooks: { delay: { percent, betweenMs: [0, 5_000] } } }),
  reorder: (percent: number) => ({ webhooks: { reorder: { percent, behind: 5 } } }),
  lose: (percent: number) => ({ webhooks: { lose: { percent } } }),
  forge: (percent: number) => ({ webhooks: { forge: { percent } } }),
  tooManyRequests: (percent: number) => ({ calls: [{ fault: "too_many_requests", percent }] }),
  serverError: (percent: number) => ({ calls: [{ fault: "server_error", percent }] }),
  slow: (percent: number) => ({ calls: [{ fault: "slow", percent, betweenMs: [500, 5_000] }] }),
  late: (percent: number) => ({ calls: [{ fault: "late", percent, betweenMs: [4_000, 8_000] }] }),
  truncated: (percent: number) => ({ calls: [{ fault: "truncated", percent }] }),
  malformed: (percent: number) => ({ calls: [{ fault: "malformed", percent }] }),
  wrongTypes: (percent: number) => ({ calls: [{ fault: "wrong_types", percent }] }),
  reset: (percent: number) => ({ calls: [{ fault: "reset", percent }] }),
  timeoutBefore: (percent: number) => ({ calls: [{ fault: "timeout", percent }] }),
  timeoutAfter: (percent: number) => ({ calls: [{ fault: "timeout", percent, applied: true }] }),
  partial: (percent: number) => ({ calls: [{ fault: "partial", percent }] }),
  unreadable: (percent: number) => ({ unreadable: { percent, forMs: 2_000 } }),
} satisfies Record<string, (percent: number) => { webhooks?: object; calls?: object[]; unreadable?: object }>;
type FaultName = keyof typeof planOf;

const faultOptions: readonly (readonly [flag: string, name: FaultName, what: string])[] = [
  ["--lose", "lose", "webhooks never sent"],
  ["--duplicate", "duplicate", "webhooks sent up to three times more, at once"],
  ["--delay", "delay", "webhooks up to 5 s late"],
  ["--reorder", "reorder", "webhooks behind five later ones"],
  ["--forge", "forge", "webhooks with a forged one beside them"],
  ["--too-many-requests", "tooManyRequests", "calls answered 429"],
  ["--server-error", "serverError", "calls answered 503"],
  ["--slow", "slow", "answers up to 5 s late"],
  ["--late", "late", "calls that take effect up to 8 s late, behind later ones"],
  ["--truncated", "truncated", "answers that break off"],
  ["--malformed", "malformed", "answers that are no JSON"],
  ["--wrong-types", "wrongTypes", "answers with numbers where lists are due"],
  ["--reset", "reset", "connections reset"],
  ["--timeout-before", "timeoutBefore", "calls neither applied nor answered"],
  ["--timeout-after", "timeoutAfter", "calls applied and not answered"],
  ["--partial", "partial", "calls for many things of which some fail"],
  ["--unreadable", "unreadable", "orders that cannot be fetched for their first 2 s"],
];

interface SetOptions extends Partial<Record<FaultName, number>> {
  readonly plan?: string;
  readonly seed?: string;
}

/** What goes wrong at the simulator, set and shown by people. */
export function addFaultCommands(simulate: Command, context: CommandContext): void {
  const faults = simulate.command("faults").description("what goes wrong between us and the channel");
  faults
    .command("show")
    .description("the plan in force and how often each fault struck")
    .action(async () => tell(context, await ask(context, "GET")));
  faults
    .command("clear")
    .description("end all faults")
    .action(async () => tell(context, await ask(context, "PUT", {})));
  const set = faults
    .command("set")
    .description("put a plan in force: shares in percent, or a file with a whole plan")
    .option("--plan <file>", "a plan as JSON, as PUT /_sim/faults takes it")
    .option("--seed <text>", "the same seed over the same traffic gives the same faults");
  for (const [flag, , what] of faultOptions) set.option(`${flag} <percent>`, what, percent);
  set.action(async (options: SetOptions) =>
    tell(context, await ask(context, "PUT", await makePlan(options))),
  );
}

async function makePlan({ plan: file, seed, ...shares }: SetOptions): Promise<object> {
  const chosen = faultOptions.flatMap(([, name]) => {
    const share = shares[name];
    return share === undefined ? [] : [planOf[name](share)];
  });
  if ((file === undefined) === (chosen.length === 0)) {
    throw new CommandFailure(2, "Name either a file with --plan or at least one fault.");
  }
  const plan = file === undefined ? merge(chosen) : await readPlan(file);
  return seed === undefined ? plan : { ...plan, seed };
}

function merge(parts: readonly { webhooks?: object; calls?: object[]; unreadable?: object }[]): object {
  return {
    webhooks: Object.assign({}, ...parts.map(({ webhooks }) => webhooks ?? {})) as object,
    calls: parts.flatMap(({ calls }) => calls ?? []),
    unreadable: parts.find(({ unreadable }) => unreadable !== undefined)?.unreadable ?? null,
  };
}

async function readPlan(file: string): Promise<object> {
  let plan: unknown;
  try {
    plan = JSON.parse(await fs.readFile(file, "utf8"));
  } catch (error) {
    throw new CommandFailure(2, `${file} holds no plan.`, error instanceof Error ? error.message : null);
  }
  const read = z.looseObject({}).safeParse(plan);
  if (read.success) return read.data;
  throw new CommandFailure(
    2,
    `${file} holds no plan.`,
    "A plan is a JSON object, as PUT /_sim/faults takes it.",
  );
}

async function ask(context: CommandContext, method: "GET" | "PUT", plan?: object) {
  return await callSimulator(await context.simulatorUrl(), method, "/_sim/faults", faultsAnswer, plan);
}

function tell({ output }: CommandContext, answer: z.output<typeof faultsAnswer>): void {
  output.result(answer, () =>
    [
      `Plan: ${JSON.stringify(answer.plan)}`,
      table(["FAULT", "STRUCK"], Object.entries(answer.injected)),
      `Forged webhooks that were accepted: ${answer.forgeriesAccepted}`,
    ].join("\n\n"),
  );
}

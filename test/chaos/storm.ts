import { setTimeout as pause } from "node:timers/promises";
import type { FaultProxy, LinkFault } from "./fault-proxy.ts";
import type { Part } from "./processes.ts";
import type { Random } from "../support/random.ts";
import type { ChaosStack } from "./stack.ts";

/** A seeded schedule of what goes wrong. Everything is drawn before it begins, so that a seed is one schedule. */
type Trouble =
  | { readonly kind: "kill"; readonly parts: readonly Victim[]; readonly downMilliseconds: number }
  | { readonly kind: "freeze"; readonly part: Victim; readonly milliseconds: number }
  | {
      readonly kind: "link";
      readonly link: number;
      readonly fault: LinkFault;
      readonly milliseconds: number;
      readonly resetAtEnd: boolean;
    };
type Victim = "worker" | "api" | "temporal" | "postgres";

const victims: readonly Victim[] = ["worker", "api", "temporal", "postgres"];
/** What everything stands on comes up first. */
const startOrder: readonly (keyof ChaosStack["parts"])[] = [
  "postgres",
  "temporal",
  "simulator",
  "worker",
  "api",
];

interface Step {
  readonly waitMilliseconds: number;
  /** What happens at the same time. */
  readonly troubles: readonly Trouble[];
}

export function drawStorm(random: Random, steps: number, links: number): readonly Step[] {
  const drawn = Array.from({ length: steps }, () => ({
    waitMilliseconds: random.whole(200, 2_000),
    troubles: Array.from({ length: random.chance(0.25) ? 2 : 1 }, () => drawTrouble(random, links)),
  }));
  // Whatever was drawn, each part is killed once and everything once together.
  const sure = [...victims.map((part) => [part]), [...victims]].map((parts): Step => {
    const downMilliseconds = random.whole(0, 1_500);
    return {
      waitMilliseconds: random.whole(200, 2_000),
      troubles: [{ kind: "kill", parts, downMilliseconds }],
    };
  });
  return shuffled(random, [...drawn, ...sure]);
}

function drawTrouble(random: Random, links: number): Trouble {
  if (random.chance(0.3)) {
    const parts = victims.filter(() => random.chance(0.35));
    return {
      kind: "kill",
      parts: parts.length === 0 ? [random.pick(victims)] : parts,
      downMilliseconds: random.whole(0, 1_500),
    };
  }
  if (random.chance(0.4))
    return { kind: "freeze", part: random.pick(victims), milliseconds: random.whole(500, 6_000) };
  const faults: readonly LinkFault[] = [
    { kind: "cut" },
    { kind: "delay", milliseconds: random.whole(20, 800) },
    { kind: "half_open" },
    { kind: "trickle" },
    { kind: "pass" },
  ];
  return {
    kind: "link",
    link: random.whole(0, links - 1),
    fault: random.pick(faults),
    milliseconds: random.whole(500, 5_000),
    resetAtEnd: random.chance(0.5),
  };
}

export interface StormReport {
  readonly happened: readonly string[];
  /** Parts that ended by themselves, and their last words. */
  readonly endedByThemselves: readonly string[];
}

/** Lets the storm blow, then heals everything: all links pass, every part runs. */
export async function blow(stack: ChaosStack, storm: readonly Step[]): Promise<StormReport> {
  const happened: string[] = [];
  const endedByThemselves: string[] = [];
  const began = performance.now();
  for (const step of storm) {
    await pause(step.waitMilliseconds);
    const killed = new Set(
      step.troubles.flatMap((trouble) => (trouble.kind === "kill" ? trouble.parts : [])),
    );
    for (const trouble of step.troubles) {
      happened.push(
        `${((performance.now() - began) / 1_000).toFixed(1)} s: ${describe(trouble, stack.links)}`,
      );
    }
    await Promise.all(step.troubles.map((trouble) => makeTrouble(stack, trouble)));
    for (const name of victims) {
      if (stack.parts[name].isRunning() || killed.has(name)) continue;
      const { how, lines } = await stack.parts[name].lastWords();
      endedByThemselves.push(`${name} (${how}): ${lines.slice(-3).join(" | ")}`);
    }
    await startAll(stack);
  }
  for (const link of stack.links) link.suffer({ kind: "pass" });
  await startAll(stack);
  return { happened, endedByThemselves };
}

async function makeTrouble(stack: ChaosStack, trouble: Trouble): Promise<void> {
  switch (trouble.kind) {
    case "kill":
      await Promise.all(trouble.parts.map((name) => stack.parts[name].kill()));
      await pause(trouble.downMilliseconds);
      return;
    case "freeze":
      await stack.parts[trouble.part].freeze();
      await pause(trouble.milliseconds);
      await stack.parts[trouble.part].wake();
      return;
    case "link": {
      const link = stack.links[trouble.link];
      link?.suffer(trouble.fault);
      await pause(trouble.milliseconds);
      link?.suffer({ kind: "pass" });
      if (trouble.resetAtEnd) link?.reset();
      return;
    }
  }
}

/** As a supervisor does: whoever is not there is started, again if the ground was not ready. */
async function startAll(stack: ChaosStack): Promise<void> {
  const attemptsMaximum = 10;
  for (const name of startOrder) {
    const part: Part = stack.parts[name];
    for (let attempt = 1; !part.isRunning(); attempt += 1) {
      if (attempt > attemptsMaximum)
        throw new Error(`${name} does not start: ${JSON.stringify(await part.lastWords())}`);
      await part.start();
    }
  }
}

function describe(trouble: Trouble, links: readonly FaultProxy[]): string {
  switch (trouble.kind) {
    case "kill":
      return `kill -9 ${trouble.parts.join(", ")}, down for ${trouble.downMilliseconds} ms`;
    case "freeze":
      return `SIGSTOP ${trouble.part} for ${trouble.milliseconds} ms`;
    case "link":
      return `${links[trouble.link]?.name ?? ""}: ${trouble.fault.kind} for ${trouble.milliseconds} ms${trouble.resetAtEnd ? ", then reset" : ""}`;
  }
}

function shuffled<Value>(random: Random, values: readonly Value[]): readonly Value[] {
  const rest = [...values];
  return Array.from({ length: rest.length }, () => {
    const [taken] = rest.splice(random.whole(0, rest.length - 1), 1);
    if (taken === undefined) throw new Error("Nothing left to shuffle");
    return taken;
  });
}

import type { Command } from "commander";
import type { Finding } from "../../proof/finding.ts";
import type { Proof } from "../../proof/proof.ts";
import type { CommandContext } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { wholeNumber } from "../numbers.ts";
import { table } from "../output.ts";

const findingsShownMaximum = 20;

export function addProofCommand(program: Command, context: CommandContext): void {
  program
    .command("proof")
    .description(
      "checks every invariant from outside, in SQL and against the channel's books; exit code 1 on a violation",
    )
    .option(
      "--settle <seconds>",
      "wait this long for news and pushes that are under way",
      wholeNumber(0, 3_600),
      0,
    )
    .action(async (options: { settle: number }) => {
      const proof = await context.prove(options.settle);
      context.output.result(proof, () => describe(proof));
      const violations = proof.checks.reduce((sum, check) => sum + check.violations.length, 0);
      if (violations > 0) throw new CommandFailure(1, `${violations} violations.`);
    });
}

function describe(proof: Proof): string {
  const named = (kind: "violations" | "underWay") =>
    proof.checks.flatMap((check) =>
      check[kind].slice(0, findingsShownMaximum).map((finding) => line(check.check, finding)),
    );
  const violations = named("violations");
  const underWay = named("underWay");
  return [
    table(
      ["CHECK", "LOOKED AT", "VIOLATIONS", "UNDER WAY"],
      proof.checks.map((check) => [
        check.check,
        check.examined,
        check.violations.length,
        check.underWay.length,
      ]),
    ),
    ...(proof.comparedWithChannel ? [] : ["The channel's books were not compared: no simulator runs here."]),
    ...(violations.length > 0
      ? [`Violations (at most ${findingsShownMaximum} of a check):\n${violations.join("\n")}`]
      : []),
    ...(underWay.length > 0 ? [`Under way:\n${underWay.join("\n")}`] : []),
    proof.clean ? "Clean: every number is explained." : "Not clean.",
  ].join("\n\n");
}

function line(check: string, finding: Finding): string {
  const delta = finding.delta === null ? "" : ` (${finding.delta > 0 ? "+" : ""}${finding.delta})`;
  return `  ${finding.subject}${delta}: ${finding.explanation} [${check}]`;
}

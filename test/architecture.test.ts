import { builtinModules } from "node:module";
import { ESLint } from "eslint";
import tseslint from "typescript-eslint";
import { beforeAll, describe, expect, test } from "vitest";
import { bundleWorkflows } from "../src/workers.ts";

describe("the workflow bundle", () => {
  let sources: readonly string[];
  let code: string;

  beforeAll(async () => {
    ({ code } = await bundleWorkflows());
    const [, encoded] = /sourceMappingURL=data:application\/json[^,]*,([A-Za-z0-9+/=]+)/.exec(code) ?? [];
    const map = JSON.parse(Buffer.from(encoded ?? "", "base64").toString()) as { sources: string[] };
    sources = map.sources;
  });

  test("holds the Temporal workflow library and its own needs, and no driver, server, adapter or schema library", () => {
    const packages = new Set(
      sources.flatMap((source) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1] ?? []),
    );
    expect([...packages].sort()).toEqual([
      "@temporalio/common",
      "@temporalio/workflow",
      "long",
      "ms",
      "nexus-rpc",
    ]);
  });

  test("holds of our own code workflows and the domain only", () => {
    const own = sources.flatMap((source) =>
      source.includes("node_modules") ? [] : (/\/src\/(.+)$/.exec(source)?.[1] ?? []),
    );
    expect(own).toContain("workflows/order-lifecycle.ts");
    expect(own.filter((path) => !/^(workflows|domain)\//.test(path))).toEqual([]);
  });

  test("reaches no Node built-in", () => {
    const required = [...code.matchAll(/\brequire\(\\?["'](?:node:)?([\w/]+)\\?["']\)/g)].map(
      ([, name]) => name,
    );
    expect(required.filter((name) => name !== undefined && builtinModules.includes(name))).toEqual([]);
    expect(sources.filter((source) => source.startsWith("external"))).toEqual([]);
  });
});

describe("the import table", () => {
  let eslint: ESLint;

  beforeAll(() => {
    // The samples are no files, so nothing is known of their types; the rules on imports need none.
    eslint = new ESLint({
      overrideConfig: tseslint.configs.disableTypeChecked as ESLint.Options["overrideConfig"],
    });
  });

  async function refusals(file: string, code: string): Promise<readonly string[]> {
    const [result] = await eslint.lintText(code, { filePath: file });
    return (result?.messages ?? [])
      .filter(({ ruleId }) => ruleId?.endsWith("no-restricted-imports") === true)
      .map(({ message }) => message);
  }

  test.each([
    ["src/domain/order/sample.ts", "../../db/orders.ts", "domain may not import db: the domain is pure"],
    ["src/domain/sample.ts", "../workflows/messages.ts", "domain may not import workflows"],
    ["src/domain/sample.ts", "node:fs", "domain is pure: no Node built-ins"],
    ["src/domain/sample.ts", "zod", "domain is pure: no packages"],
    ["src/workflows/sample.ts", "../db/orders.ts", "workflows may not import db: workflow code is replayed"],
    ["src/workflows/sample.ts", "node:crypto", "workflow code is replayed in a sandbox"],
    ["src/workflows/sample.ts", "@temporalio/client", "only the Temporal workflow library"],
    ["src/workflows/activities.ts", "../activities/index.ts", "Activities are types to a workflow"],
    ["src/activities/sample.ts", "../workflows/order-lifecycle.ts", "activities may not import workflows"],
    ["src/activities/sample.ts", "../integrations/tiktok-shop/client.ts", "through ports"],
    ["src/integrations/tiktok-shop/sample.ts", "../../db/shops.ts", "an adapter speaks to one system"],
    ["src/db/sample.ts", "../api/contract/orders.ts", "db may not import api"],
    ["src/api/sample.ts", "../db/stock.ts", "api may not import db: the API is thin"],
    ["src/api/routes/sample.ts", "../../db/orders.ts", "api may not import db: the API is thin"],
    ["src/api/sample.ts", "../workflows/order-lifecycle.ts", "api may not import workflows"],
    ["src/intake/sample.ts", "../integrations/tiktok-shop/adapter.ts", "channels are behind their port"],
    ["src/proof/sample.ts", "../domain/order/decide.ts", "the proof looks from outside"],
    ["src/cli/sample.ts", "../db/orders.ts", "the command line is a client of the API"],
    ["src/simulator/sample.ts", "../domain/ids.ts", "the simulator is the other side"],
    [
      "src/simulator/sample.ts",
      "../integrations/tiktok-shop/signature.ts",
      "it shares nothing with the product",
    ],
    ["src/embedded/sample.ts", "../domain/ids.ts", "it contains no product logic"],
    ["src/db/sample.ts", "../config.ts", "db may not import config"],
  ])("refuses that %s imports %s, and says why", async (file, target, reason) => {
    expect(await refusals(file, `import { thing } from "${target}";\nthing();\n`)).toEqual([
      expect.stringContaining(reason),
    ]);
  });

  test.each([
    ["src/domain/order/sample.ts", 'import { isFinal } from "./transitions.ts";'],
    ["src/workflows/sample.ts", 'import { condition } from "@temporalio/workflow";'],
    ["src/workflows/activities.ts", 'import type { Activities } from "../activities/index.ts";'],
    ["src/activities/sample.ts", 'import { lockOrder } from "../db/orders.ts";'],
    ["src/activities/sample.ts", 'import { ChannelFailure } from "../integrations/ports/failure.ts";'],
    ["src/api/sample.ts", 'import { findOrder } from "../db/read-models/orders.ts";'],
    ["src/cli/sample.ts", 'import { migrate } from "../db/migrate.ts";'],
    ["src/simulator/sample.ts", 'import fastify from "fastify";'],
  ])("lets %s say: %s", async (file, code) => {
    expect(await refusals(file, code)).toEqual([]);
  });
});

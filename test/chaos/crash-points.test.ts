import fs from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { crashPoints, readCrashPoint } from "../../src/crash-points.ts";

const source = path.resolve(import.meta.dirname, "../../src");

async function usedPoints(): Promise<readonly string[]> {
  const files = (await fs.readdir(source, { recursive: true })).filter((name) => name.endsWith(".ts"));
  const texts = await Promise.all(files.map((name) => fs.readFile(path.join(source, name), "utf8")));
  return texts.flatMap((text) =>
    [...text.matchAll(/crashPoint\(\s*"(?<name>[^"]+)"/g)].map((match) => match.groups?.["name"] ?? ""),
  );
}

test("every named crash point is somewhere in the product, once", async () => {
  expect([...(await usedPoints())].sort()).toEqual(Object.keys(crashPoints).sort());
});

test("a crash point is armed by its name, and by the time it is reached", () => {
  expect(readCrashPoint("stock: batch committed, not answered")).toEqual({
    point: "stock: batch committed, not answered",
    time: 1,
  });
  expect(readCrashPoint("stock: batch committed, not answered:3")).toMatchObject({ time: 3 });
  expect(readCrashPoint("somewhere")).toBeNull();
  expect(() => loadConfig({ CREATORFLOW_CRASH_POINT: "somewhere" })).toThrow("CREATORFLOW_CRASH_POINT");
});

test("production refuses to start with a crash point", () => {
  const environment = {
    NODE_ENV: "production",
    CREATORFLOW_CRASH_POINT: "webhook: stored, not answered",
  };
  expect(() => loadConfig(environment)).toThrow("CREATORFLOW_CRASH_POINT must not be set");
});

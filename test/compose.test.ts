import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { loadConfig } from "../src/config.ts";
import { environmentSchema } from "../src/environment.ts";
import { searchAttributes } from "../src/temporal.ts";

const root = path.resolve(import.meta.dirname, "..");
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8");

const serviceSchema = z.object({
  image: z.string(),
  build: z.string().optional(),
  command: z.array(z.string()).optional(),
  entrypoint: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).default({}),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  configs: z.array(z.object({ source: z.string(), target: z.string() })).default([]),
  volumes: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  healthcheck: z.object({ test: z.array(z.string()) }).optional(),
  read_only: z.boolean().optional(),
  cap_drop: z.array(z.string()).optional(),
});
const compose = z
  .object({
    services: z.record(z.string(), serviceSchema),
    volumes: z.record(z.string(), z.unknown()),
    configs: z.record(z.string(), z.object({ content: z.string() })),
  })
  .parse(parse(read("docker-compose.yml"), { merge: true }));
const services = Object.entries(compose.services);
const ours = services.filter(([, service]) => service.build !== undefined);

/** What compose puts in place of `${NAME:-value}` when nothing is set. */
const filledIn = (text: string): string => text.replaceAll(/\$\{[A-Z_]+:-([^}]*)\}/g, "$1");

describe("docker-compose.yml", () => {
  it("runs the roles of one image, with nothing writable and no capability", () => {
    expect(ours.map(([name]) => name).sort()).toEqual(["api", "migrate", "seed", "simulator", "worker"]);
    for (const [name, service] of ours) {
      expect([service.read_only, service.cap_drop], name).toEqual([true, ["ALL"]]);
    }
    expect(read("Dockerfile").trimEnd().split("\n")).toContain("USER node");
  });

  it.each(ours)("gives %s a command whose source exists", (_name, service) => {
    const built = (service.command ?? []).filter((part) => part.endsWith(".js"));
    expect(built.at(-1)).toMatch(/^dist\/.+\.js$/);
    for (const file of built) {
      const source = file.replace(/^(\.\/)?dist\//, "");
      const sources = [source, source.replace(/\.js$/, ".ts")].map((each) => path.join(root, each));
      expect(
        sources.filter((each) => fs.existsSync(each)),
        file,
      ).toHaveLength(1);
    }
  });

  it.each(ours)(
    "gives %s only settings that the configuration knows, with values that it accepts",
    (_name, service) => {
      const environment = Object.fromEntries(
        Object.entries(service.environment).map(([key, value]) => [key, filledIn(value)]),
      );
      expect(Object.keys(environmentSchema.shape)).toEqual(expect.arrayContaining(Object.keys(environment)));
      expect(() => loadConfig(environment)).not.toThrow();
    },
  );

  it("lets the processes work with another login than the owner's, who migrates", () => {
    const user = (url: string | undefined): string => new URL(url!).username;
    const { api, worker, migrate } = compose.services;
    expect([api, worker].map((service) => user(service?.environment["DATABASE_URL"]))).toEqual([
      "creatorflow_app",
      "creatorflow_app",
    ]);
    expect(user(migrate?.environment["MIGRATION_DATABASE_URL"])).toBe("creatorflow_owner");
    expect(
      [api, worker].some((service) => service?.environment["MIGRATION_DATABASE_URL"] !== undefined),
    ).toBe(false);
  });

  it("publishes the ports that the configuration has by default, on the loopback alone", () => {
    const { api, temporal, simulatorPort } = loadConfig({});
    const published = Object.fromEntries(services.map(([name, { ports }]) => [name, ports]));
    expect(published).toMatchObject({
      api: [`127.0.0.1:${api.port}:${api.port}`],
      temporal: [`127.0.0.1:${temporal.embeddedPort}:7233`],
      "temporal-ui": [`127.0.0.1:${temporal.embeddedUiPort}:8080`],
      simulator: [`127.0.0.1:${simulatorPort}:${simulatorPort}`],
    });
    expect(services.flatMap(([, { ports }]) => ports).every((port) => port.startsWith("127.0.0.1:"))).toBe(
      true,
    );
  });

  it("registers the search attributes that the workflows set, with their types", () => {
    const script = compose.configs["temporal-namespace"]?.content ?? "";
    const registered = [
      ...script.matchAll(/search-attribute create --type (\w+)((?: --name \w+)+)/g),
    ].flatMap(([, type, names]) =>
      names!
        .split("--name")
        .slice(1)
        .map((name) => [name.trim(), type!.toUpperCase()]),
    );
    expect(Object.fromEntries(registered)).toEqual(
      Object.fromEntries(searchAttributes.map(({ name, type }) => [name, type])),
    );
  });

  it("pins every image, and refers to services, files and volumes that exist", () => {
    for (const [name, service] of services) {
      if (service.build === undefined) expect(service.image, name).toMatch(/:\d+\.\d+/);
      expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(Object.keys(service.depends_on)));
      for (const { source } of service.configs) expect(compose.configs).toHaveProperty(source);
      for (const volume of service.volumes) expect(compose.volumes).toHaveProperty(volume.split(":")[0]!);
    }
  });

  it("waits for health only where there is a health check", () => {
    for (const [name, service] of services) {
      for (const [needed, { condition }] of Object.entries(service.depends_on)) {
        const checked = compose.services[needed]?.healthcheck !== undefined;
        if (condition === "service_healthy") expect(checked, `${name} waits for ${needed}`).toBe(true);
      }
    }
  });

  it("builds from files that the build context holds", () => {
    const allowed = read(".dockerignore")
      .split("\n")
      .filter((line) => line.startsWith("!"))
      .map((line) => line.slice(1));
    const copied = read("Dockerfile")
      .split("\n")
      .filter((line) => line.startsWith("COPY ") && !line.includes("--from"))
      .flatMap((line) => line.split(" ").slice(1, -1));
    expect(copied.length).toBeGreaterThan(0);
    for (const file of copied) {
      expect(allowed).toContain(file);
      expect(fs.existsSync(path.join(root, file)), file).toBe(true);
    }
  });
});

import { defineConfig } from "vitest/config";

/** Workflows whose every task is a replay from the start, with nothing cached. The short run has the two that all others rest on. */
const withoutCache =
  process.env["CREATORFLOW_TEST_FULL"] === "yes"
    ? "{order-lifecycle,sku-inventory,tiktok-order-sync,alert-delivery}"
    : "{order-lifecycle,sku-inventory}";

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: "all", include: ["test/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "workflows without cache",
          include: [`test/workflows/${withoutCache}.test.ts`],
          env: { CREATORFLOW_TEST_WORKFLOW_CACHE: "off" },
        },
      },
    ],
    pool: "forks",
    maxWorkers: 2,
    globalSetup: ["test/support/global-setup.ts"],
    // Bounds against a hang, not measurements: a busy machine may take its time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts", "worker.ts"],
      reporter: ["text-summary", "json-summary"],
      thresholds: { "src/domain/**": { lines: 95 }, lines: 85 },
    },
  },
});

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: "all", include: ["test/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "workflows without cache",
          include: [
            "test/workflows/{order-lifecycle,sku-inventory,tiktok-order-sync,alert-delivery}.test.ts",
          ],
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

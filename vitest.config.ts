import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
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

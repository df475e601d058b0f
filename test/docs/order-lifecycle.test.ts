import fs from "node:fs/promises";
import { expect, test } from "vitest";
import { orderLifecyclePage } from "../../scripts/order-lifecycle-page.ts";

test("docs/order-lifecycle.md says what the code does; `npm run docs` brings it up to date", async () => {
  const page = await fs.readFile(new URL("../../docs/order-lifecycle.md", import.meta.url), "utf8");
  expect(page).toBe(orderLifecyclePage());
});

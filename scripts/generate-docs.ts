import fs from "node:fs/promises";
import { orderLifecyclePage } from "./order-lifecycle-page.ts";

/** Writes the pages of docs/ that are made from the code. */
await fs.writeFile(new URL("../docs/order-lifecycle.md", import.meta.url), orderLifecyclePage());

import { productsPage } from "../api/contract/inventory.ts";
import type { ApiClient } from "./client.ts";
import { CommandFailure } from "./failure.ts";

/** @throws CommandFailure when no SKU has exactly this code. */
export async function findSku(api: ApiClient, code: string) {
  const page = await api.get("/api/inventory/products", { search: code, limit: 200 }, productsPage);
  const found = page.products.find((sku) => sku.sku.toLowerCase() === code.toLowerCase());
  if (found !== undefined) return found;
  const near = page.products.slice(0, 5).map((sku) => sku.sku);
  throw new CommandFailure(
    2,
    `No SKU has the code ${code}.`,
    near.length > 0 ? `Near to it: ${near.join(", ")}` : "`npm run cli -- stock show` lists them.",
  );
}

import { z } from "zod";
import type { Sku } from "../records.ts";
import { badRequest, refusals, refuse } from "../refusal.ts";
import type { Simulation } from "../simulation.ts";
import type { Books } from "../state.ts";
import { lockedOf, sum } from "../stock.ts";
import { endpoint, wireId } from "./endpoint.ts";
import { skusOf } from "./products.ts";

const quantityMax = 99_999;

/** Numbers are checked one by one and refused one by one, so the schema takes any. */
const skuUpdate = z.object({
  id: z.string().optional(),
  inventory: z.array(z.object({ warehouse_id: wireId.optional(), quantity: z.number() })).min(1),
});
type SkuUpdate = z.output<typeof skuUpdate>;

interface WarehouseError {
  readonly warehouse_id: string;
  readonly code: number;
  readonly message: string;
}

export const inventoryEndpoints = [
  endpoint({
    method: "POST",
    path: "/product/202309/inventory/search",
    access: "shop",
    body: z.object({
      product_ids: z.array(wireId).max(100, "takes at most 100 ids").optional(),
      sku_ids: z.array(wireId).max(600, "takes at most 600 ids").optional(),
    }),
    answer: ({ books }, { body }) => {
      if (body.sku_ids === undefined && body.product_ids === undefined) {
        return refuse(badRequest("product_ids or sku_ids is required"));
      }
      const skus =
        body.sku_ids !== undefined
          ? [...new Set(body.sku_ids)].flatMap((id) => books.skus.find(id) ?? [])
          : [...new Set(body.product_ids)].flatMap((id) => {
              const product = books.products.find(id);
              return product === undefined ? [] : skusOf(books, product);
            });
      return { data: { inventory: inventoryOnWire(skus) } };
    },
  }),
  endpoint({
    method: "POST",
    path: "/product/202309/products/:productId/inventory/update",
    access: "shop",
    params: z.object({ productId: z.string() }),
    body: z.object({ skus: z.array(skuUpdate).min(1) }),
    answer: (simulation, { params, body }) => {
      if (simulation.books.products.find(params.productId) === undefined) {
        return refuse(refusals.productUnknown);
      }
      const errors = body.skus.flatMap((update) => updateSku(simulation, params.productId, update));
      return { data: { errors } };
    },
  }),
];

/** Applies one SKU's numbers; a SKU with any mistake in it is left alone and reported. */
function updateSku({ books, stock }: Simulation, productId: string, update: SkuUpdate) {
  const skuId = update.id ?? "";
  const sku = books.skus.find(skuId);
  if (update.id === undefined) return [skuError(skuId, 12052036, "the SKU id is missing")];
  if (sku?.productId !== productId) return [skuError(skuId, 12052048, "the SKU is not one of this product")];

  const assigned = sku.cells.map((cell) => cell.warehouseId);
  const only = assigned.length === 1 ? assigned[0] : undefined;
  const numbers = update.inventory.map(({ warehouse_id: named, quantity }) => ({
    warehouseId: named ?? only ?? "",
    quantity,
  }));
  const wrong = numbers.flatMap(({ warehouseId, quantity }) =>
    whyWrong(books, assigned, warehouseId, quantity),
  );
  if (wrong.length > 0) return [skuError(skuId, 12052990, "some warehouses could not be updated", wrong)];

  const named = new Set(numbers.map(({ warehouseId }) => warehouseId));
  if (named.size !== assigned.length || numbers.length !== named.size) {
    return [skuError(skuId, 12019028, "the SKU is in several warehouses: list each of them once")];
  }
  // TikTok does not say what it does then; that a campaign loses its units would be the worst of it, so it is refused.
  if (numbers.reduce((total, { quantity }) => total + quantity, 0) < lockedOf(sku)) {
    return [skuError(skuId, 12019024, "fewer units than are locked for campaigns and creators")];
  }
  for (const { warehouseId, quantity } of numbers) stock.set(sku, warehouseId, quantity, "api_sync");
  return [];
}

function whyWrong(
  books: Books,
  assigned: readonly string[],
  warehouseId: string,
  quantity: number,
): WarehouseError[] {
  const error = (code: number, message: string) => [{ warehouse_id: warehouseId, code, message }];
  if (warehouseId === "") return error(12019028, "the warehouse must be named");
  if (books.warehouses.find(warehouseId) === undefined || !assigned.includes(warehouseId)) {
    return error(12052097, "the SKU has no such warehouse");
  }
  if (!Number.isInteger(quantity) || quantity < 0) return error(12019024, "the stock count is invalid");
  return quantity > quantityMax ? error(12052055, "the quantity is above the limit of 99999") : [];
}

function skuError(skuId: string, code: number, message: string, extra: readonly WarehouseError[] = []) {
  return { code, message, detail: { sku_id: skuId, extra_errors: extra } };
}

function inventoryOnWire(skus: readonly Sku[]) {
  const byProduct = new Map<string, Sku[]>();
  for (const sku of skus) byProduct.set(sku.productId, [...(byProduct.get(sku.productId) ?? []), sku]);
  return [...byProduct].map(([productId, members]) => ({
    product_id: productId,
    skus: members.map((sku) => {
      const available = sum(sku.cells, "available");
      return {
        id: sku.id,
        seller_sku: sku.sellerSku,
        total_available_quantity: available,
        total_committed_quantity: sum(sku.cells, "committed"),
        total_available_inventory_distribution: {
          in_shop_inventory: { quantity: available - lockedOf(sku) },
          campaign_inventory: pool(sku.campaignLocked, "campaign_name"),
          creator_inventory: pool(sku.creatorLocked, "creator_name"),
        },
        warehouse_inventory: sku.cells.map((cell) => ({
          warehouse_id: cell.warehouseId,
          available_quantity: cell.available,
          committed_quantity: cell.committed,
        })),
      };
    }),
  }));
}

function pool(quantity: number, name: "campaign_name" | "creator_name") {
  return quantity === 0 ? [] : [{ [name]: "demo", quantity }];
}

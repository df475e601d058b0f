import { z } from "zod";
import type { Product, Sku } from "../records.ts";
import { refuse } from "../refusal.ts";
import type { Books } from "../state.ts";
import { endpoint, wholeNumber, wireId } from "./endpoint.ts";
import { pageOf } from "./paging.ts";

const statuses = [
  "ALL",
  "DRAFT",
  "PENDING",
  "FAILED",
  "ACTIVATE",
  "SELLER_DEACTIVATED",
  "PLATFORM_DEACTIVATED",
  "FREEZE",
  "DELETED",
] as const;
const filterSize = 10;

export const productEndpoints = [
  endpoint({
    method: "POST",
    path: "/product/202502/products/search",
    access: "shop",
    query: z.object({ page_size: wholeNumber(1, 100), page_token: z.string().optional() }),
    body: z.object({
      status: z.enum(statuses).default("ALL"),
      seller_skus: z.array(z.string()).optional(),
      sku_ids: z.array(wireId).optional(),
      create_time_ge: z.number().int().optional(),
      create_time_le: z.number().int().optional(),
    }),
    answer: ({ books }, { query, body }) => {
      if ((body.seller_skus?.length ?? 0) > filterSize) {
        return refuse({ code: 12019027, status: 200, message: "too many seller_skus, at most 10" });
      }
      if ((body.sku_ids?.length ?? 0) > filterSize) {
        return refuse({ code: 12019087, status: 200, message: "too many sku_ids, at most 10" });
      }
      const wanted = [...books.products.all()]
        .map((product) => ({ product, skus: skusOf(books, product) }))
        .filter(
          ({ product, skus }) =>
            (body.status === "ALL" || body.status === "ACTIVATE") &&
            (body.seller_skus === undefined ||
              skus.some((sku) => body.seller_skus?.includes(sku.sellerSku) === true)) &&
            (body.sku_ids === undefined || skus.some((sku) => body.sku_ids?.includes(sku.id) === true)) &&
            product.createTime >= (body.create_time_ge ?? 0) &&
            product.createTime <= (body.create_time_le ?? Number.POSITIVE_INFINITY),
        );
      const page = pageOf(wanted, query, ({ product }) => [product.createTime, product.id]);
      if ("refusal" in page) return page;
      const products = page.items.map(({ product, skus }) => productOnWire(product, skus));
      return { data: { products, ...page.rest } };
    },
  }),
];

/** The SKUs of a product, in the order of the catalogue. */
export function skusOf(books: Books, product: Product): Sku[] {
  return [...books.skus.all()].filter((sku) => sku.productId === product.id);
}

/** Pence as TikTok writes money: a decimal text in pounds. */
export function pounds(pence: number): string {
  return (pence / 100).toFixed(2);
}

function productOnWire(product: Product, skus: readonly Sku[]) {
  return {
    id: product.id,
    title: product.title,
    status: "ACTIVATE",
    audit: { status: "APPROVED" },
    create_time: product.createTime,
    update_time: product.createTime,
    sales_regions: ["GB"],
    listing_platforms: ["TIKTOK_SHOP"],
    skus: skus.map((sku) => ({
      id: sku.id,
      seller_sku: sku.sellerSku,
      price: {
        currency: "GBP",
        sale_price: pounds(sku.pricePence),
        tax_exclusive_price: pounds(Math.round(sku.pricePence / 1.2)),
      },
      inventory: sku.cells.map((cell) => ({ warehouse_id: cell.warehouseId, quantity: cell.available })),
      status_info: { status: "NORMAL" },
    })),
  };
}

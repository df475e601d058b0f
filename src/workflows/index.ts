export { orderLifecycle } from "./order-lifecycle.ts";
export { skuInventory } from "./sku-inventory.ts";
export { tiktokOrderSync } from "./tiktok-order-sync.ts";

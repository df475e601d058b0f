export { alertDelivery } from "./alert-delivery.ts";
export { orderLifecycle } from "./order-lifecycle.ts";
export { skuInventory } from "./sku-inventory.ts";
export { stockHold } from "./stock-hold.ts";
export { tiktokInventorySync } from "./tiktok-inventory-sync.ts";
export { tiktokOrderSync } from "./tiktok-order-sync.ts";

export { alertDelivery } from "./alert-delivery.ts";
export { bulkOperation } from "./bulk-operation.ts";
export { orderLifecycle } from "./order-lifecycle.ts";
export { skuInventory } from "./sku-inventory.ts";
export { stockApproval } from "./stock-approval.ts";
export { stockHold } from "./stock-hold.ts";
export { tiktokInventorySync } from "./tiktok-inventory-sync.ts";
export { tiktokOrderSync } from "./tiktok-order-sync.ts";

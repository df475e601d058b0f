import type { Warehouse } from "../records.ts";
import { endpoint } from "./endpoint.ts";

export const shopEndpoints = [
  endpoint({
    method: "GET",
    path: "/authorization/202309/shops",
    access: "seller",
    answer: ({ books: { account } }) => ({
      data: {
        shops: [
          {
            id: account.shopId,
            cipher: account.shopCipher,
            name: account.shopName,
            region: account.region,
            seller_type: "LOCAL",
            code: account.shopCode,
          },
        ],
      },
    }),
  }),
  endpoint({
    method: "GET",
    path: "/logistics/202309/warehouses",
    access: "shop",
    answer: ({ books }) => ({ data: { warehouses: [...books.warehouses.all()].map(warehouseOnWire) } }),
  }),
];

function warehouseOnWire(warehouse: Warehouse) {
  return {
    id: warehouse.id,
    name: warehouse.name,
    type: "SALES_WAREHOUSE",
    sub_type: "DOMESTIC_WAREHOUSE",
    effect_status: "ENABLED",
    is_default: warehouse.isDefault,
    entity_id: warehouse.id,
    address: {
      region: "United Kingdom",
      region_code: "GB",
      state: "England",
      city: "Leeds",
      postal_code: "LS1 4DY",
      full_address: "12 Marlow Works, Leeds, LS1 4DY",
      address_line1: "12 Marlow Works",
      contact_person: "Studio Marlow",
      phone_number: "(+44)1134960000",
    },
  };
}

import { type IllegalWrite, refusesIllegalWrites } from "./seeded-tables.ts";

const movement = (changes: Readonly<Record<string, string>> = {}) => {
  const values: Record<string, string> = {
    tenant_id: ":ourTenant",
    sku_id: ":sku",
    location_id: ":ourLocation",
    sequence: "(select max(sequence) + 1 from inventory_transactions where sku_id = :sku)",
    kind: "'adjust'",
    quantity: "1",
    on_hand_effect: "1",
    reserved_effect: "0",
    previous_stock: "5",
    new_stock: "6",
    previous_reserved: "1",
    new_reserved: "1",
    reason: "'by hand'",
    operation_id: "'by hand'",
    reference_type: "'adjustment'",
    reference_id: "'by hand'",
    ...changes,
  };
  return `insert into inventory_transactions (${Object.keys(values).join(", ")}) select ${Object.values(values).join(", ")}`;
};
const level = (set: string) => `update stock_levels set ${set} where sku_id = :sku`;
const bumped = "version = version + 1, last_sequence = last_sequence + 1";

const writes: readonly IllegalWrite[] = [
  ["app", "units promised beyond those on hand", level(`reserved_stock = current_stock + 1, ${bumped}`)],
  ["app", "fewer than no units on hand", level(`current_stock = -1, reserved_stock = 0, ${bumped}`)],
  ["app", "fewer than no units promised", level(`reserved_stock = -1, ${bumped}`)],
  ["app", "units without a new version", level("current_stock = current_stock + 1")],
  ["app", "units without a new movement", level("current_stock = current_stock + 1, version = version + 1")],
  [
    "app",
    "a version that skips",
    level("current_stock = current_stock + 1, version = version + 2, last_sequence = last_sequence + 1"),
  ],
  ["superuser", "a version that goes down", level("version = version - 1")],
  ["superuser", "a sequence that goes down", level("last_sequence = last_sequence - 1")],
  ["app", "availability written by hand", level("available_stock = 99")],
  ["app", "a backorder floor above nothing", level("backorder_floor = 1")],
  ["app", "a level that becomes another SKU's", level("sku_id = :empty")],
  ["app", "a level at somebody else's location", level("location_id = :theirLocation")],
  [
    "app",
    "a second level for one place",
    "insert into stock_levels (tenant_id, sku_id, location_id) values (:ourTenant, :sku, :ourLocation)",
  ],
  [
    "app",
    "a level of a foreign SKU",
    "insert into stock_levels (tenant_id, sku_id, location_id) values (:ourTenant, :foreignSku, :ourLocation)",
  ],
  ["app", "a level stopped without a reason", level("stopped_at = now(), version = version + 1")],
  [
    "app",
    "a movement of no units that is no repair",
    movement({ quantity: "0", on_hand_effect: "0", new_stock: "5" }),
  ],
  ["superuser", "a level deleted", "delete from stock_levels where sku_id = :sku"],
  ["superuser", "all levels truncated", "truncate stock_levels cascade"],
  [
    "app",
    "a movement edited by the app",
    "update inventory_transactions set quantity = 2 where sku_id = :sku",
  ],
  [
    "superuser",
    "a movement edited by the owner of everything",
    "update inventory_transactions set reason = 'better' where sku_id = :sku",
  ],
  ["superuser", "a movement deleted", "delete from inventory_transactions where sku_id = :sku"],
  ["superuser", "the ledger truncated", "truncate inventory_transactions"],
  [
    "app",
    "a gap in a SKU's movements",
    movement({ sequence: "(select max(sequence) + 2 from inventory_transactions where sku_id = :sku)" }),
  ],
  ["app", "a second movement under one number", movement({ sequence: "1" })],
  [
    "app",
    "a fork at the end of a SKU's movements",
    movement({ sequence: "(select max(sequence) from inventory_transactions where sku_id = :sku)" }),
  ],
  ["superuser", "a first movement that is not the first", movement({ sku_id: ":empty", sequence: "7" })],
  ["app", "a movement numbered zero", movement({ sequence: "0" })],
  ["app", "a movement whose on hand does not add up", movement({ new_stock: "7" })],
  ["app", "a movement whose reserved does not add up", movement({ new_reserved: "2" })],
  ["app", "a movement of no units", movement({ quantity: "0", on_hand_effect: "0", new_stock: "5" })],
  ["app", "a movement of fewer than no units", movement({ quantity: "-1" })],
  [
    "app",
    "a movement that leaves fewer than no units",
    movement({ on_hand_effect: "-6", quantity: "6", new_stock: "-1" }),
  ],
  ["app", "a reservation that moves what is on hand", movement({ kind: "'reserve'" })],
  [
    "app",
    "a shipment that keeps its promise",
    movement({ kind: "'ship'", on_hand_effect: "-1", new_stock: "4" }),
  ],
  [
    "app",
    "a release that adds to what is promised",
    movement({
      kind: "'release'",
      on_hand_effect: "0",
      new_stock: "5",
      reserved_effect: "1",
      new_reserved: "2",
    }),
  ],
  ["app", "a movement of an unknown kind", movement({ kind: "'magic'" })],
  ["app", "a movement without a reason", movement({ reason: "''" })],
  ["app", "a movement in a foreign SKU's ledger", movement({ sku_id: ":foreignSku", sequence: "2" })],
  [
    "dispatcher",
    "a movement in another seller's ledger",
    movement({
      tenant_id: ":theirTenant",
      sku_id: ":foreignSku",
      location_id: ":theirLocation",
      sequence: "2",
    }),
  ],
  ["ingest", "a movement by who takes deliveries in", movement()],
  ["report", "a movement by the report", movement()],
  ["app", "an answer changed", "update stock_operations set answer = '{}'"],
  ["superuser", "an answer changed by the owner of everything", "update stock_operations set answer = '{}'"],
  ["superuser", "an operation forgotten", "delete from stock_operations"],
  ["superuser", "all operations forgotten", "truncate stock_operations"],
  [
    "app",
    "an operation id used again for another SKU",
    "insert into stock_operations (tenant_id, operation_id, sku_id, input, answer) values (:ourTenant, 'adjust/seed', :empty, 'x', '{}')",
  ],
  [
    "app",
    "an operation without an id",
    "insert into stock_operations (tenant_id, operation_id, sku_id, input, answer) values (:ourTenant, '', :sku, 'x', '{}')",
  ],
  [
    "app",
    "an operation on a foreign SKU",
    "insert into stock_operations (tenant_id, operation_id, sku_id, input, answer) values (:ourTenant, 'new', :foreignSku, 'x', '{}')",
  ],
];

refusesIllegalWrites("of stock", writes);

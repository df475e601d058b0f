import { z } from "zod";

export const roles = ["creator", "admin", "support", "system", "operator"] as const;
export const roleSchema = z.enum(roles);
export type Role = z.output<typeof roleSchema>;

/** Who may do what. One row a permission; whoever is not listed may not. */
export const permissions = {
  "inventory:read": ["creator", "admin", "support"],
  "inventory:write": ["creator", "admin"],
  /** Large changes, without anybody's approval. */
  "inventory:write_large": ["admin"],
  /** Answering alerts, and saying how one is told of them and from when on. */
  "inventory:alerts_manage": ["creator", "admin"],
  /** Many changes in one request. */
  "inventory:bulk_update": ["admin"],
  /** Deciding on the large changes that others ask for. */
  "approvals:decide": ["admin"],
  "orders:read": ["creator", "admin", "support"],
  "orders:write": ["creator", "admin"],
  /** Who the parcel goes to, in clear; others see it masked. */
  "orders:recipient": ["creator", "admin"],
  "settings:read": ["creator", "admin", "support"],
  "settings:write": ["admin"],
  "shops:read": ["creator", "admin", "support"],
  "deliveries:read": ["creator", "admin", "support", "operator"],
  "deliveries:replay": ["admin"],
  /** Deliveries that no seller can be found for. */
  "deliveries:unclaimed": ["operator"],
  /** Links to the Temporal Web UI, which shows every seller's workflows. */
  "operator:links": ["operator"],
  /** About oneself. */
  "self:read": roles,
} as const satisfies Record<string, readonly Role[]>;

export type Permission = keyof typeof permissions;

export function mayDo(role: Role, permission: Permission): boolean {
  return (permissions[permission] as readonly Role[]).includes(role);
}

import { auditInvariants } from "./audit-invariants.ts";
import type { Invariant } from "./invariant.ts";
import { orderInvariants } from "./order-invariants.ts";
import { stockInvariants } from "./stock-invariants.ts";

/** What must hold of the stock and the orders at every commit. */
export const invariants: readonly Invariant[] = [...stockInvariants, ...orderInvariants, ...auditInvariants];

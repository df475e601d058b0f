import { sql } from "kysely";
import { asId, type SkuId } from "../../domain/ids.ts";
import type { TenantTransaction } from "../tenant.ts";

export interface TransferRow {
  readonly id: string;
  readonly sku_id: string;
  readonly sku: string;
  readonly from_location_id: string;
  readonly from_location: string;
  readonly to_location_id: string;
  readonly to_location: string;
  readonly quantity: number;
  readonly received: number;
  readonly missing: number;
  readonly under_way: number;
  readonly sent_at: string;
}

/** Transfers with units under way, the oldest first. @param skuId null for all SKUs. */
export async function listTransfersUnderWay(
  transaction: TenantTransaction,
  skuId: SkuId | null,
  limit: number,
): Promise<readonly TransferRow[]> {
  const { rows } = await sql<TransferRow>`
    select transfer.transfer_id as id, transfer.sku_id, sku.code as sku, transfer.from_location_id,
      origin.name as from_location, transfer.to_location_id, target.name as to_location, transfer.quantity,
      transfer.received, transfer.missing, transfer.under_way, transfer.created_at as sent_at
    from stock_transfers as transfer
    join skus as sku on sku.tenant_id = transfer.tenant_id and sku.id = transfer.sku_id
    join locations as origin on origin.tenant_id = transfer.tenant_id and origin.id = transfer.from_location_id
    join locations as target on target.tenant_id = transfer.tenant_id and target.id = transfer.to_location_id
    where transfer.under_way > 0 and ${skuId === null ? sql`true` : sql`transfer.sku_id = ${skuId}`}
    order by transfer.created_at, transfer.transfer_id
    limit ${limit}
  `.execute(transaction);
  return rows;
}

/** The SKU that a transfer carries; null when there is no such transfer. */
export async function findTransferSku(
  transaction: TenantTransaction,
  transferId: string,
): Promise<SkuId | null> {
  const row = await transaction
    .selectFrom("stock_transfers")
    .where("transfer_id", "=", transferId)
    .select("sku_id")
    .executeTakeFirst();
  return row === undefined ? null : asId<"Sku">(row.sku_id);
}

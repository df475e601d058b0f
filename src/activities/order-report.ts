import type { Refusal } from "../domain/decision.ts";
import type { ChannelOrderId, ChannelPackageId, ShopId, SkuId, TenantId, UserId } from "../domain/ids.ts";
import type { ChannelStatus } from "../domain/order/channel-order.ts";
import type { OrderCommand } from "../domain/order/commands.ts";
import type { CancelRefusal, ShipmentResult } from "../domain/order/decide.ts";
import type { Hold } from "../domain/order/order.ts";
import type { ShortageChoice, ShortageRefusal } from "../domain/order/shortage.ts";
import type { OrderSummary } from "../domain/order/transitions.ts";
import type { ClaimOperation, StockAnswer, StockOperation } from "../domain/stock/operation.ts";

/** What an order's workflow and its activities say to each other: plain JSON without anything personal. */
export interface OrderKey {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
  readonly orderId: ChannelOrderId;
}

export interface CancelWish {
  readonly reason: string;
  readonly by: UserId | null;
}

export interface ShortageWish {
  readonly course: ShortageChoice;
  readonly by: UserId | null;
}

export type CancelResult =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly reason: string };

/** What has happened since the last decision. Every part may be told again. */
export interface OrderReport {
  /** A snapshot may have been stored, or the stock may have served a shortage. */
  readonly news?: true;
  readonly stock?: readonly {
    readonly lineId: string;
    readonly operation: ClaimOperation;
    readonly answer: StockAnswer;
  }[];
  readonly shipment?: ShipmentResult;
  readonly cancelWish?: CancelWish;
  readonly cancelResult?: CancelResult;
  readonly shortageWish?: ShortageWish;
}

/** What operators see of an order. */
export interface OrderView {
  readonly status: OrderSummary;
  readonly channelStatus: ChannelStatus;
  readonly hold: Hold | null;
  readonly nextStep: string;
  readonly needsAttention: boolean;
  readonly shipBy: string | null;
  /** When it must be looked at although nothing was heard. ISO 8601; null: no such time. */
  readonly lookAgainAt: string | null;
  /** Nothing will happen any more: every unit is resolved and the channel has closed the order. */
  readonly closed: boolean;
}

export interface OrderStep {
  /** Null when the order is not stored. */
  readonly view: OrderView | null;
  readonly commands: readonly OrderCommand[];
  readonly cancelRefusal: Refusal<CancelRefusal> | null;
  readonly shortageRefusal: Refusal<ShortageRefusal> | null;
}

export interface StockRequest {
  readonly tenantId: TenantId;
  readonly operations: readonly { readonly skuId: SkuId; readonly operation: StockOperation }[];
}

/** What an order wants of the stock now, line by line. */
export interface StockSettlement extends OrderKey {
  readonly wanted: readonly Extract<OrderCommand, { kind: "stock" }>[];
}

export interface ShipmentRequest extends OrderKey {
  readonly packageIds: readonly ChannelPackageId[];
}

export interface CancelRequestToChannel extends OrderKey {
  readonly reason: string;
}

import { defineSearchAttributeKey, SearchAttributeType } from "@temporalio/common";
import { defineSignal, defineUpdate } from "@temporalio/workflow";
import type { ApprovalDecision } from "../domain/approval/decide.ts";
import type { Refusal } from "../domain/decision.ts";
import type { AlertId, ChannelOrderId, ShopId, SkuId, TenantId, UserId } from "../domain/ids.ts";
import type { CancelRefusal } from "../domain/order/decide.ts";
import type { ShortageChoice, ShortageRefusal } from "../domain/order/shortage.ts";
import type { StockAnswer, StockOperation } from "../domain/stock/operation.ts";

/**
 * What workflows are told and asked. Everything here is plain JSON and free of personal data: histories keep it.
 */
export interface OrderInput {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
  readonly orderId: ChannelOrderId;
  /** Of all Workers that the order reaches; see `taskQueues`. */
  readonly queuePrefix?: string | undefined;
  /** Events after which the run continues as new; tests lower it. */
  readonly historyLengthMaximum?: number | undefined;
}

/** A snapshot was stored: look. Also sent when the stock has served a shortage of the order. */
export const orderNews = defineSignal<[{ readonly cause: string }]>("orderNews");

export type CancelAnswer = { readonly accepted: true } | Refusal<CancelRefusal | "channel_refused">;

/** A person cancels the order as its seller; answered when the channel has. */
export const cancelOrder = defineUpdate<
  CancelAnswer,
  [{ readonly reason: string; readonly by: UserId | null }]
>("cancelOrder");

export type ShortageAnswer = { readonly accepted: true } | Refusal<ShortageRefusal | "unknown_order">;

/** A person decides what is done about units that are missing. */
export const chooseShortageCourse = defineUpdate<
  ShortageAnswer,
  [{ readonly course: ShortageChoice; readonly by: UserId | null }]
>("chooseShortageCourse");

export interface SkuInput {
  readonly tenantId: TenantId;
  readonly skuId: SkuId;
  readonly queuePrefix?: string | undefined;
  /** Carried over continue-as-new: an offer that must still be pushed. */
  readonly offerPending?: boolean | undefined;
  /** Since when, an ISO time; what was under way then counts. */
  readonly offerCausedAt?: string | undefined;
  /** Units may have been left free for the queue by a run that was lost: an empty batch looks. */
  readonly queueMayRemain?: boolean | undefined;
  /** Nobody is expected to ask again soon: the entity ends as soon as nothing waits, without its idle time. */
  readonly endsAtOnce?: boolean | undefined;
  /** Events after which the run continues as new; tests lower it. */
  readonly historyLengthMaximum?: number | undefined;
  /** How long it waits without work before it ends; tests lower it. */
  readonly idleMilliseconds?: number | undefined;
}

export interface HoldInput {
  readonly tenantId: TenantId;
  readonly skuId: SkuId;
  readonly holdId: string;
  /** ISO 8601. */
  readonly expiresAt: string;
}

/** Milliseconds that an entity without work waits for the next request before it ends. */
export const entityIdleMilliseconds = 60_000;

/** Type of the failure with which an entity that is about to continue as new (or is full) turns a request away. */
export const entityIsClosing = "EntityIsClosing";

/** Applies operations to the SKU's stock; one answer for each, in their order. */
export const applyOperations = defineUpdate<readonly StockAnswer[], [readonly StockOperation[]]>(
  "applyOperations",
);

/**
 * What a SKU's listings should show has changed: they must be compared and pushed. `causedAt` is the ISO time of the change;
 * signals of earlier versions say nothing.
 */
export const offerChanged = defineSignal<[{ readonly causedAt: string }?]>("offerChanged");

export interface ApprovalInput {
  readonly tenantId: TenantId;
  readonly approvalId: string;
}

/** What somebody who may decide wants; his note goes on record. */
export interface ApprovalWish {
  readonly kind: "approve" | "reject";
  readonly by: UserId;
  readonly note: string | null;
}

/** Decides on a large change; answered when the stock has answered. The same decision again gets the same answer. */
export const decideOnApproval = defineUpdate<ApprovalDecision, [ApprovalWish]>("decideOnApproval");

export interface BulkInput {
  readonly tenantId: TenantId;
  readonly bulkId: string;
  readonly queuePrefix?: string | undefined;
  /** Carried over continue-as-new: rows that have their result. */
  readonly done?: number | undefined;
  /** Pages after which the run continues as new; tests lower it. */
  readonly pagesOfRun?: number | undefined;
}

/** Where a poll of changed orders goes on within the channel's listing. */
export interface OrderSyncPlace {
  /** ISO 8601, the channel's time; the same for all pages of a listing. */
  readonly updatedFrom: string;
  readonly pageToken: string;
}

/** What a poll came to: orders listed, recovered (no webhook had brought them), awaited (it is waiting), refused. */
export interface OrderSyncCounts {
  readonly seen: number;
  readonly recovered: number;
  readonly awaited: number;
  readonly refused: number;
}

/** One page's counts, and where the next one is; null after the last. */
export interface OrderSyncStep extends OrderSyncCounts {
  readonly next: OrderSyncPlace | null;
}

export interface OrderSyncInput {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
  readonly queuePrefix?: string | undefined;
  /** Carried over continue-as-new. */
  readonly place?: OrderSyncPlace | undefined;
  readonly counts?: OrderSyncCounts | undefined;
}

/** What a look at a shop's listings came to: listings times warehouses. */
export interface InventorySyncCounts {
  readonly compared: number;
  readonly agreed: number;
  readonly underWay: number;
  /** Waited for a push that nobody was making; it is made now. */
  readonly pushed: number;
  /** Differ, and nothing explains it. */
  readonly drifting: number;
}

/** One page's counts, and the listing after which the next one begins; null after the last. */
export interface InventorySyncStep extends InventorySyncCounts {
  readonly next: string | null;
}

export interface InventorySyncInput {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
  /** Only this SKU's listings. */
  readonly skuId?: SkuId | undefined;
  /** Only listings of which the channel has told that somebody else has changed them. */
  readonly withNews?: boolean | undefined;
  readonly queuePrefix?: string | undefined;
  /** Carried over continue-as-new. */
  readonly after?: string | undefined;
  readonly counts?: InventorySyncCounts | undefined;
}

export interface AlertInput {
  readonly tenantId: TenantId;
  readonly alertId: AlertId;
  readonly queuePrefix?: string | undefined;
  /** How much faster the ladder of reminders passes than the clock; 1 unless told. */
  readonly timeScale?: number | undefined;
  /** Events after which the run continues as new; tests lower it. */
  readonly historyLengthMaximum?: number | undefined;
}

/** Something was said of the alert, or its condition is over: look. */
export const alertNews = defineSignal("alertNews");

/** What an operator can search for in the Temporal Web UI. */
export const searchAttributes = {
  shop: defineSearchAttributeKey("CfShop", SearchAttributeType.KEYWORD),
  order: defineSearchAttributeKey("CfOrder", SearchAttributeType.KEYWORD),
  orderStatus: defineSearchAttributeKey("CfOrderStatus", SearchAttributeType.KEYWORD),
  sku: defineSearchAttributeKey("CfSku", SearchAttributeType.KEYWORD),
  needsAttention: defineSearchAttributeKey("CfNeedsAttention", SearchAttributeType.BOOL),
  shipBy: defineSearchAttributeKey("CfShipBy", SearchAttributeType.DATETIME),
} as const;

export interface ProofInput {
  readonly queuePrefix?: string | undefined;
}

/** What a proof came to, without anybody's name. */
export interface ProofOutcome {
  readonly clean: boolean;
  readonly comparedWithChannel: boolean;
  readonly checks: readonly {
    readonly check: string;
    readonly examined: number;
    readonly violations: number;
    readonly underWay: number;
  }[];
  /** SKUs whose numbers are wrong. */
  readonly corruptedSkus: number;
}

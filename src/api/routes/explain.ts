import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { explainListings, findHolders, findWaiting, listLevelTerms } from "../../db/read-models/explain.ts";
import { findSku } from "../../db/read-models/inventory.ts";
import { listTransfersUnderWay } from "../../db/read-models/transfers.ts";
import { type TenantTransaction, withTenantSnapshot } from "../../db/tenant.ts";
import { asId, type SkuId } from "../../domain/ids.ts";
import { explainLevel } from "../../domain/stock/explain.ts";
import { idParameters } from "../contract/common.ts";
import { explanationSchema } from "../contract/explain.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { sessionOf } from "../plugins/authentication.ts";
import { knownSku } from "../skus.ts";

/** Transfers that are named; a SKU with more has them in the list of transfers. */
const transfersNamed = 50;

/** Why a SKU's numbers are what they are. */
export function explainRoutes({ db }: Pick<ApiDependencies, "db">): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    app.get(
      "/api/inventory/products/:id/explain",
      {
        config: { permission: "inventory:read" },
        schema: {
          operationId: "explainProduct",
          tags: ["inventory"],
          security: [{ accessToken: [] }],
          summary: "Why the numbers of a SKU are what they are",
          description:
            "Each number with the terms that make it: the movements by kind on top of what was brought forward, the orders and holds " +
            "that have units, those that wait, transfers under way, and what each listing shows, should show and why.",
          params: idParameters,
          response: { 200: explanationSchema, default: problemResponse },
        },
      },
      async (request) =>
        await withTenantSnapshot(db, sessionOf(request).tenantId, (transaction) =>
          explain(transaction, asId<"Sku">(request.params.id)),
        ),
    );
    done();
  };
}

async function explain(transaction: TenantTransaction, skuId: SkuId) {
  const sku = knownSku(await findSku(transaction, skuId));
  const levels = (await listLevelTerms(transaction, skuId)).map(
    ({ held_units: heldUnits, broughtForward, byKind, ...level }) => {
      const numbers = { onHand: level.current_stock, reserved: level.reserved_stock };
      const { sum, addsUp } = explainLevel(numbers, broughtForward, byKind, heldUnits);
      return {
        ...level,
        brought_forward: { on_hand: broughtForward.onHand, reserved: broughtForward.reserved },
        by_kind: byKind.map(({ kind, movements, onHandEffect, reservedEffect }) => ({
          kind,
          movements,
          on_hand_effect: onHandEffect,
          reserved_effect: reservedEffect,
        })),
        sum: { on_hand: sum.onHand, reserved: sum.reserved },
        adds_up: addsUp,
      };
    },
  );
  const holders = await findHolders(transaction, skuId);
  const waiting = await findWaiting(transaction, skuId);
  const transfers = await listTransfersUnderWay(transaction, skuId, transfersNamed);
  const listings = await explainListings(transaction, skuId);
  const { id, name, current_stock, reserved_stock, available_stock } = sku;
  return {
    id,
    sku: sku.sku,
    name,
    current_stock,
    reserved_stock,
    available_stock,
    summary:
      `${current_stock} on hand - ${reserved_stock} reserved for ${holders.claims} orders and holds = ${available_stock} available; ` +
      `${waiting.units} units are waited for.`,
    adds_up: levels.every((level) => level.adds_up),
    levels,
    holders: { ...holders, named: [...holders.named] },
    waiting: { ...waiting, named: [...waiting.named] },
    transfers: [...transfers],
    listings: listings.map(({ shown, shouldShow, ours, ...listing }) => ({
      ...listing,
      shows: shown,
      should_show: shouldShow,
      under_way: ours?.underWay ?? null,
      unreserved_elsewhere: ours?.unreservedElsewhere ?? null,
      buffer: ours?.buffer ?? null,
    })),
  };
}

import { invariant } from "../../domain/assert.ts";
import { asId } from "../../domain/ids.ts";
import type { SalesChannel } from "../ports/sales-channel.ts";
import type { Client } from "./client.ts";
import { documentAnswer, markShippedAnswer, shipAnswer, trackingAnswer } from "./wire.ts";

const packagesMax = 50;

/** Shipping: arranging, telling, labels and what the carrier reports. */
export function fulfilmentCalls(
  client: Client,
): Pick<SalesChannel, "arrangeShipments" | "markShipped" | "shippingDocument" | "tracking"> {
  return {
    arrangeShipments: async (shop, packageIds) => {
      if (packageIds.length === 0) return [];
      invariant(packageIds.length <= packagesMax, `at most ${packagesMax} packages a call`);
      const { errors } = await client.call(shop, {
        method: "POST",
        path: "/fulfillment/202309/packages/ship",
        // A pick-up would need a time slot that nobody has chosen.
        body: { packages: packageIds.map((id) => ({ id, handover_method: "DROP_OFF" })) },
        priority: 1,
        answer: shipAnswer,
      });
      const known: ReadonlySet<string> = new Set(packageIds);
      const anyone = errors.find((error) => !known.has(error.detail?.package_id ?? ""));
      return packageIds.map((key) => {
        const error = errors.find((each) => each.detail?.package_id === key) ?? anyone;
        return error === undefined
          ? { key, ok: true }
          : { key, ok: false, channelCode: error.code, message: error.message };
      });
    },

    markShipped: async (shop, orderId, shipment) => {
      const { package_id: packageId } = await client.call(shop, {
        method: "POST",
        path: `/fulfillment/202309/orders/${encodeURIComponent(orderId)}/packages`,
        body: {
          order_line_item_ids: shipment.lineIds,
          tracking_number: shipment.trackingNumber,
          shipping_provider_id: shipment.shippingProviderId,
        },
        priority: 1,
        answer: markShippedAnswer,
      });
      return { packageId: asId(packageId) };
    },

    shippingDocument: async (shop, packageId) => {
      const answer = await client.call(shop, {
        method: "GET",
        path: `/fulfillment/202309/packages/${encodeURIComponent(packageId)}/shipping_documents`,
        query: { document_type: "SHIPPING_LABEL", document_size: "A6" },
        priority: 4,
        answer: documentAnswer,
      });
      return { url: answer.doc_url, trackingNumber: answer.tracking_number ?? null };
    },

    tracking: async (shop, orderId) => {
      const { tracking } = await client.call(shop, {
        method: "GET",
        path: `/fulfillment/202309/orders/${encodeURIComponent(orderId)}/tracking`,
        priority: 4,
        answer: trackingAnswer,
      });
      return tracking
        .map((entry) => ({ description: entry.description, at: entry.update_time_millis }))
        .sort((left, right) => Date.parse(left.at) - Date.parse(right.at));
    },
  };
}

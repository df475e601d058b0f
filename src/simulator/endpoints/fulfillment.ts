import { z } from "zod";
import type { Order } from "../records.ts";
import { badRequest, type Refusal, refusals, refuse } from "../refusal.ts";
import type { Simulation } from "../simulation.ts";
import { documentUrl } from "./document.ts";
import { endpoint, wireId } from "./endpoint.ts";

const shipment = z.object({
  handover_method: z.enum(["PICKUP", "DROP_OFF"]).optional(),
  pickup_slot: z.object({ start_time: z.number().int(), end_time: z.number().int() }).optional(),
  self_shipment: z.object({ tracking_number: z.string(), shipping_provider_id: z.string() }).optional(),
});
type Shipment = z.output<typeof shipment>;

const documentTypes = ["SHIPPING_LABEL", "PACKING_SLIP", "SHIPPING_LABEL_AND_PACKING_SLIP"] as const;
const packageParams = z.object({ packageId: z.string() });
const orderParams = z.object({ orderId: z.string() });

export const fulfillmentEndpoints = [
  endpoint({
    method: "POST",
    path: "/fulfillment/202309/packages/:packageId/ship",
    access: "shop",
    params: packageParams,
    body: shipment,
    answer: (simulation, { params, body }) => {
      const refusal = ship(simulation, params.packageId, body);
      return refusal === null ? { data: {} } : refuse(refusal);
    },
  }),
  endpoint({
    method: "POST",
    path: "/fulfillment/202309/packages/ship",
    access: "shop",
    body: z.object({
      packages: z
        .array(shipment.extend({ id: wireId }))
        .min(1)
        .max(50),
    }),
    answer: (simulation, { body }) => {
      const errors = body.packages.flatMap(({ id, ...details }) => {
        const refusal = ship(simulation, id, details);
        if (refusal === null) return [];
        return [{ code: refusal.code, message: refusal.message, detail: { package_id: id } }];
      });
      return { data: { errors } };
    },
  }),
  endpoint({
    method: "POST",
    path: "/fulfillment/202309/orders/:orderId/packages",
    access: "shop",
    params: orderParams,
    body: z.object({
      order_line_item_ids: z.array(wireId).min(1).optional(),
      tracking_number: z.string().trim().min(1),
      shipping_provider_id: wireId,
    }),
    answer: ({ books, orders }, { params, body }) => {
      const order = books.orders.find(params.orderId);
      if (order === undefined) return refuse(refusals.orderUnknown);
      const lineIds = body.order_line_item_ids ?? order.lines.map(({ id }) => id);
      if (!/^[A-Za-z0-9-]{6,40}$/.test(body.tracking_number)) return refuse(refusals.trackingInvalid);
      const parcel = orders.shipping.markShipped(
        order,
        lineIds,
        body.tracking_number,
        body.shipping_provider_id,
      );
      if ("code" in parcel) return refuse(parcel);
      return { data: { order_id: order.id, order_line_item_ids: lineIds, package_id: parcel.id } };
    },
  }),
  endpoint({
    method: "GET",
    path: "/fulfillment/202309/packages/:packageId/shipping_documents",
    access: "shop",
    params: packageParams,
    query: z.object({
      document_type: z.enum(documentTypes),
      document_size: z.enum(["A6", "A5"]).default("A6"),
    }),
    answer: ({ books, orders }, { params, query, origin }) => {
      const { parcel } = orders.shipping.findParcel(params.packageId) ?? {};
      if (parcel === undefined) return refuse(refusals.packageUnknown);
      if (parcel.status !== "PROCESSING" || parcel.handoverMethod === null) {
        return refuse(refusals.documentUnavailable);
      }
      const url = documentUrl(books, origin, parcel, query.document_type, query.document_size);
      return { data: { doc_url: url, tracking_number: parcel.trackingNumber } };
    },
  }),
  endpoint({
    method: "GET",
    path: "/fulfillment/202309/orders/:orderId/tracking",
    access: "shop",
    params: orderParams,
    answer: ({ books }, { params }) => {
      const order = books.orders.find(params.orderId);
      return order === undefined ? refuse(refusals.orderUnknown) : { data: { tracking: trackingOf(order) } };
    },
  }),
];

function ship({ orders }: Simulation, packageId: string, details: Shipment): Refusal | null {
  const found = orders.shipping.findParcel(packageId);
  if (found === undefined) return refusals.packageUnknown;
  if (details.self_shipment !== undefined) return refusals.shippingTypeWrong;
  const { handover_method: handoverMethod, pickup_slot: pickupSlot } = details;
  if (pickupSlot !== undefined && pickupSlot.end_time <= pickupSlot.start_time) {
    return badRequest("pickup_slot is invalid");
  }
  return orders.shipping.shipParcel(found.order, found.parcel, handoverMethod ?? "PICKUP");
}

const descriptions: Partial<Record<Order["status"], string>> = {
  AWAITING_COLLECTION: "The parcel is ready for the carrier.",
  IN_TRANSIT: "The carrier has collected the parcel.",
  DELIVERED: "The parcel was delivered.",
};

/** The newest event first. */
function trackingOf(order: Order) {
  return order.statusChanges
    .flatMap(({ status, atMilliseconds }) => {
      const description = descriptions[status];
      return description === undefined ? [] : [{ description, update_time_millis: atMilliseconds }];
    })
    .reverse();
}

import { expect, test } from "vitest";
import { asId } from "../../../src/domain/ids.ts";
import { type LineStage, lineStages, skusGivenUp } from "../../../src/domain/order/order.ts";
import { orderIn, orderLine } from "./order-builders.ts";

const sku = asId<"Sku">("mug");
const orderWith = (stage: LineStage, skuId = sku as typeof sku | null) =>
  orderIn("awaiting_shipment", { lines: [orderLine(stage, { skuId })] });

test.each(lineStages)("a line that was sold and not reserved, and is %s now", (stage) => {
  const goesOn = ["new", "arranged", "held", "shipped"].includes(stage);
  const expected = goesOn ? [] : [sku];
  expect(skusGivenUp(orderWith("new"), orderWith(stage))).toEqual(expected);
  expect(skusGivenUp(orderWith("arranged"), orderWith(stage))).toEqual(expected);
  expect(skusGivenUp(null, orderWith(stage))).toEqual(expected);
});

test.each(lineStages.filter((stage) => stage !== "new" && stage !== "arranged"))(
  "a line that was %s gives nothing up that others have left out",
  (stage) => {
    expect(skusGivenUp(orderWith(stage), orderWith("closing"))).toEqual([]);
  },
);

test("an unknown SKU is nobody else's", () => {
  expect(skusGivenUp(null, orderWith("cancelled", null))).toEqual([]);
});

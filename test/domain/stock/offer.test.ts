import fc from "fast-check";
import { expect, test } from "vitest";
import { decideOffer } from "../../../src/domain/stock/offer.ts";

const ours = (onHand: number, reserved = 0, underWay = 0, buffer = 0) => ({
  onHand,
  reserved,
  underWay,
  buffer,
});

test.each([
  ["a sale there moves units and leaves the total alone", ours(10, 2), { available: 8, committed: 2 }, null],
  ["a sale that we have not seen yet needs no push", ours(10, 0), { available: 7, committed: 3 }, null],
  [
    "an arranged shipment that is still committed there is under way",
    ours(9, 1, 1),
    { available: 8, committed: 2 },
    null,
  ],
  ["more units here raise the offer", ours(15, 2), { available: 8, committed: 2 }, 13],
  ["fewer units here lower it", ours(4, 2), { available: 8, committed: 2 }, 2],
  ["a sale that we have not seen yet is left out of a push", ours(15, 0), { available: 7, committed: 3 }, 12],
  [
    "a shipment that they have deducted already is not offered again",
    ours(15, 0, 4),
    { available: 8, committed: 0 },
    15,
  ],
  ["more sold than there is offers nothing", ours(500, 500), { available: 3, committed: 1000 }, 0],
  ["and says nothing when nothing is shown already", ours(500, 500), { available: 0, committed: 1000 }, null],
  ["the buffer stays here", ours(10, 0, 0, 3), { available: 10, committed: 0 }, 7],
  ["the cap binds", ours(200_000), { available: 5, committed: 0 }, 99_999],
])("%s", (_name, our, their, expected) => {
  const decision = decideOffer(our, their);
  expect(decision.push ? decision.available : null).toBe(expected);
});

test("what is offered never exceeds what is available here, whatever the channel says", () => {
  fc.assert(
    fc.property(
      fc.nat(1000),
      fc.nat(1000),
      fc.nat(100),
      fc.nat(50),
      fc.nat(1500),
      fc.nat(1500),
      (onHand, reserved, underWay, buffer, available, committed) => {
        const decision = decideOffer({ onHand, reserved, underWay, buffer }, { available, committed });
        if (decision.push)
          expect(decision.available).toBeLessThanOrEqual(Math.max(0, onHand - reserved - buffer));
      },
    ),
  );
});

import { describe, expect, test } from "vitest";
import { soldByAlone } from "../../../src/domain/stock/offer-change.ts";
import { asId } from "../../../src/domain/ids.ts";
import type { StockOperation } from "../../../src/domain/stock/operation.ts";
import { adjust, level, release, reserve, reverse, ship, StockInMemory } from "./stock-builders.ts";

/** Every builder's order is of the shop `shop`. */
const fromAnother = (operation: ReturnType<typeof reserve>): StockOperation => ({
  ...operation,
  claim: { ...operation.claim, orderRef: operation.claim.orderRef.replace("shop/", "another/") },
});

describe("what a batch means for the listings of a SKU that several shops sell", () => {
  const ofSeveral = () => new StockInMemory([level(9)], 1_000, true);

  test("a sale concerns the other shops alone", () => {
    expect(ofSeveral().do(reserve("a")).offerChange).toEqual({ soldBy: "shop" });
  });

  test("what is given back concerns its own shop too, which may have been told a number without it", () => {
    const stock = ofSeveral();
    stock.do(reserve("cancelled"), reserve("never left"));
    expect(stock.do(release("cancelled")).offerChange).toEqual({ soldBy: null });
    stock.do(ship("never left"));
    expect(stock.do(reverse("never left")).offerChange).toEqual({ soldBy: null });
  });

  test("sales of two shops in one batch concern both", () => {
    expect(ofSeveral().do(reserve("a"), fromAnother(reserve("b"))).offerChange).toEqual({ soldBy: null });
  });

  test("a sale beside a change by hand concerns every shop", () => {
    expect(ofSeveral().do(reserve("a"), adjust("count", 1)).offerChange).toEqual({ soldBy: null });
  });

  test("what leaves of promised units concerns nobody", () => {
    const stock = ofSeveral();
    stock.do(reserve("a"));
    expect(stock.do(ship("a")).offerChange).toBeNull();
  });

  test("what leaves without having been promised concerns the other shops", () => {
    expect(ofSeveral().do(ship("unheard of", true)).offerChange).toEqual({ soldBy: "shop" });
  });

  test("a hold concerns every shop, since none has sold it", () => {
    const hold: StockOperation = {
      kind: "hold",
      holdId: "display",
      quantity: 1,
      reason: "display",
      expiresAt: "2026-02-01T00:00:00.000Z",
      actorId: null,
      locationId: null,
    };
    expect(ofSeveral().do(hold).offerChange).toEqual({ soldBy: null });
  });
});

test("of a SKU that one shop alone sells a sale concerns nobody, and what is given back concerns that shop", () => {
  const stock = new StockInMemory([level(9)]);
  expect(stock.do(reserve("a")).offerChange).toBeNull();
  expect(stock.do(release("a")).offerChange).toEqual({ soldBy: null });
});

test("changes together spare a shop only when all of them do", () => {
  const [one, other] = [asId<"Shop">("one"), asId<"Shop">("other")];
  expect(soldByAlone([{ soldBy: one }, { soldBy: one }])).toBe(one);
  expect(soldByAlone([{ soldBy: one }, { soldBy: other }])).toBeNull();
  expect(soldByAlone([{ soldBy: one }, { soldBy: null }])).toBeNull();
});

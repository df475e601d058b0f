import { expect, test } from "vitest";
import { createCoalescer } from "../src/coalescer.ts";
import { until } from "./support/until.ts";

test("what waits for its turn behind other keys' calls gathers, and goes as one call", async () => {
  const calls: { readonly key: string; readonly items: readonly number[]; readonly answer: () => void }[] =
    [];
  const ask = createCoalescer<number, number>({
    itemsMaximum: 100,
    lingerMilliseconds: 0,
    callsInAllMaximum: 1,
    send: (key, items) =>
      new Promise((resolve) =>
        calls.push({ key, items, answer: () => resolve(items.map((item) => item * 10)) }),
      ),
  });
  const answered = async (count: number) => until(`${count} calls`, () => calls.length === count);
  const first = ask("a", 1);
  await answered(1);
  const others = [ask("b", 2), ask("c", 3)];
  // Long after its key's turn was asked for.
  await new Promise((resolve) => setImmediate(resolve));
  const late = ask("b", 4);
  calls[0]!.answer();
  await answered(2);
  expect(calls[1]).toMatchObject({ key: "b", items: [2, 4] });
  calls[1]!.answer();
  await answered(3);
  calls[2]!.answer();
  expect(await Promise.all([first, ...others, late])).toEqual([10, 20, 30, 40]);
});

test("a call that fails is its callers' trouble alone, and gives its turn up", async () => {
  const ask = createCoalescer<string, string>({
    itemsMaximum: 100,
    lingerMilliseconds: 0,
    callsInAllMaximum: 1,
    send: (key, items) => (key === "bad" ? Promise.reject(new Error("no answer")) : Promise.resolve(items)),
  });
  const [bad, good] = await Promise.allSettled([ask("bad", "1"), ask("good", "2")]);
  expect(bad).toMatchObject({ status: "rejected", reason: new Error("no answer") });
  expect(good).toEqual({ status: "fulfilled", value: "2" });
});

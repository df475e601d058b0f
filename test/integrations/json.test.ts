import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseJson } from "../../src/integrations/tiktok-shop/json.ts";

type Tree = bigint | string | boolean | null | readonly Tree[] | { readonly [name: string]: Tree };

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
    fc.bigInt({ min: -1_000n, max: 1_000n }),
    fc.string({ unit: "binary" }),
    fc.constantFrom("1234567890123456789", " 1234567890123456789", ":1234567890123456789", '"\\'),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("tree"), { maxLength: 5 }),
    fc.dictionary(fc.string(), tie("tree"), { maxKeys: 5 }),
  ),
}));

/** JSON as another program may write it: with any digits, and with room where JSON allows it. */
function write(value: Tree, room: string): string {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) {
    return `[${room}${value.map((item: Tree) => write(item, room)).join(`${room},${room}`)}${room}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([name, member]) => `${JSON.stringify(name)}${room}:${room}${write(member, room)}`,
  );
  return `{${room}${members.join(`${room},${room}`)}${room}}`;
}

function expected(value: Tree): unknown {
  if (typeof value === "bigint") {
    return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  }
  if (Array.isArray(value)) return value.map(expected);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, expected(member)]));
}

describe("JSON", () => {
  it("loses no digit, wherever a number stands and whatever the texts beside it look like", () => {
    fc.assert(
      fc.property(tree, fc.constantFrom("", " ", "\n\t", "\r\n"), (value, room) => {
        expect(parseJson(write(value, room))).toEqual(expected(value));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(["", "{", '{"a":}', "[1,]", '{"a":01234567890123456789}', "{1234567890123456789:1}", '"\n"'])(
    "that is none, %j, is a SyntaxError, with long numbers and without",
    (text) => {
      expect(() => parseJson(text)).toThrow(SyntaxError);
      expect(() => parseJson(`[9007199254740993,${text}]`)).toThrow(SyntaxError);
    },
  );

  it.each(["", ",9007199254740993"])("takes the last of two equal keys%s", (more) => {
    expect(parseJson(`{"a":1,"b":[0${more}],"a":2}`)).toMatchObject({ a: 2 });
  });

  it("holds a page of 16 MB up for less than two seconds of processor time", () => {
    const text = JSON.stringify({ code: 0, data: { text: "x".repeat(15_000_000) } });
    const before = process.cpuUsage();
    parseJson(text);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(2_000);
  });
});

import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../support/until.ts";
import { startFaultProxy } from "./fault-proxy.ts";

/** A server that sends back what it gets, behind a proxy, and a client that collects. */
async function givenEcho() {
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const proxy = await startFaultProxy("test", (server.address() as net.AddressInfo).port);
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  const connect = () => {
    const socket = net.connect({ port: proxy.port, host: "127.0.0.1" });
    const seen = { text: "", failure: null as NodeJS.ErrnoException | null, closed: false };
    socket.on("data", (chunk) => (seen.text += chunk.toString()));
    socket.on("error", (error) => (seen.failure = error));
    socket.on("close", () => (seen.closed = true));
    onTestFinished(() => void socket.destroy());
    return { socket, seen };
  };
  return { proxy, connect };
}

test("a link that passes hands on every byte in order, both ways, and its end", async () => {
  const { connect } = await givenEcho();
  const { socket, seen } = connect();
  const text = Array.from({ length: 50_000 }, (_, index) => `${index},`).join("");
  socket.end(text);
  await until("all came back", () => seen.closed);
  expect(seen.text === text, `${seen.text.length} of ${text.length} characters`).toBe(true);
});

test("a cut link resets what is open and refuses what is new, until it heals", async () => {
  const { proxy, connect } = await givenEcho();
  const open = connect();
  open.socket.write("before");
  await until("it was open", () => open.seen.text === "before");
  proxy.suffer({ kind: "cut" });
  await until("the open connection broke", () => open.seen.closed);
  const refused = connect();
  await until("the new one broke", () => refused.seen.closed);
  proxy.suffer({ kind: "pass" });
  const healed = connect();
  healed.socket.write("again");
  await until("it works again", () => healed.seen.text === "again");
});

test("a half-open link swallows what is sent and tells nobody; what was held goes on when it heals", async () => {
  const { proxy, connect } = await givenEcho();
  const { socket, seen } = connect();
  socket.write("before");
  await until("the first came back", () => seen.text === "before");
  proxy.suffer({ kind: "half_open" });
  const { bytesWritten } = socket;
  socket.write(", after");
  // A whole round trip on another link of the same kind: time enough for what would have come to have come.
  const other = await givenEcho();
  const witness = other.connect();
  witness.socket.write("witness");
  await until("the witness came back", () => witness.seen.text === "witness");
  expect(socket.bytesWritten).toBeGreaterThan(bytesWritten);
  expect(seen).toMatchObject({ text: "before", failure: null, closed: false });
  proxy.suffer({ kind: "pass" });
  await until("the rest came", () => seen.text === "before, after");
});

test("a trickling link gives one byte at a time and the rest at once when it heals", async () => {
  const { proxy, connect } = await givenEcho();
  proxy.suffer({ kind: "trickle" });
  const { socket, seen } = connect();
  socket.write("slowly");
  await until("one byte came", () => seen.text.length === 1, { seconds: 5 });
  proxy.suffer({ kind: "pass" });
  await until("all came", () => seen.text === "slowly");
});

test("a delayed link keeps the order", async () => {
  const { proxy, connect } = await givenEcho();
  proxy.suffer({ kind: "delay", milliseconds: 30 });
  const { socket, seen } = connect();
  for (const word of ["one ", "two ", "three"]) socket.write(word);
  expect(seen.text).toBe("");
  await until("all came", () => seen.text === "one two three");
});

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTwilioTexter } from "../../src/integrations/twilio/texter.ts";

/** Speaks the wire of Twilio's Messages resource, as its documentation describes it. */
const account = `AC${"0".repeat(32)}`;
interface Received {
  readonly method: string;
  readonly path: string;
  readonly authorization: string;
  readonly type: string;
  readonly form: URLSearchParams;
}
let server: Server;
let apiUrl: string;
let received: Received[] = [];
let answer: { status: number; body: string } | "hang up" = { status: 201, body: "" };

const accepted = {
  status: 201,
  body: JSON.stringify({
    sid: `SM${"1".repeat(32)}`,
    status: "queued",
    error_code: null,
    error_message: null,
  }),
};
const problem = (status: number, code: number, message: string) => ({
  status,
  body: JSON.stringify({ code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status }),
});

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      received.push({
        method: request.method ?? "",
        path: request.url ?? "",
        authorization: request.headers.authorization ?? "",
        type: request.headers["content-type"] ?? "",
        form: new URLSearchParams(body),
      });
      if (answer === "hang up") request.socket.destroy();
      else response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  received = [];
  answer = accepted;
});
afterAll(() => {
  server.close();
});

const texter = (from = "+15005550006") =>
  createTwilioTexter({ apiUrl, accountSid: account, authToken: "token of the test", from });
const text = { to: "+447700900123", body: "Out of stock: Blue shirt & more", messageId: "1" };

describe("a text message", () => {
  test("goes to the account's Messages as a form, under the account's login", async () => {
    await texter().send(text);
    const [request] = received;
    expect(request).toMatchObject({
      method: "POST",
      path: `/2010-04-01/Accounts/${account}/Messages.json`,
      type: "application/x-www-form-urlencoded",
    });
    expect(Buffer.from(request!.authorization.replace("Basic ", ""), "base64").toString()).toBe(
      `${account}:token of the test`,
    );
    expect(Object.fromEntries(request!.form)).toEqual({
      To: "+447700900123",
      From: "+15005550006",
      Body: "Out of stock: Blue shirt & more",
    });
  });

  test("may leave the choice of a number to a messaging service", async () => {
    const service = `MG${"2".repeat(32)}`;
    await texter(service).send(text);
    expect(received[0]?.form.get("MessagingServiceSid")).toBe(service);
    expect(received[0]?.form.has("From")).toBe(false);
  });

  test.each([
    [
      "a number that is none",
      problem(400, 21211, "The 'To' number +447700900123 is not a valid phone number."),
      "refused",
      "Twilio answered 400, error 21211",
    ],
    [
      "a receiver who wants none",
      problem(400, 21610, "Attempt to send to unsubscribed recipient"),
      "refused",
      "Twilio answered 400, error 21610",
    ],
    ["a wrong login", problem(401, 20003, "Authenticate"), "unavailable", "Twilio answered 401, error 20003"],
    [
      "too many requests",
      problem(429, 20429, "Too Many Requests"),
      "unavailable",
      "Twilio answered 429, error 20429",
    ],
    ["a fault of theirs", { status: 503, body: "<html>busy</html>" }, "unavailable", "Twilio answered 503"],
    ["something else than was asked for", { status: 200, body: "{}" }, "unavailable", "Twilio answered 200"],
  ] as const)("that is answered with %s", async (_what, answered, kind, message) => {
    answer = answered;
    const failure = await texter()
      .send(text)
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: "MessageFailure", kind, message });
    expect(String((failure as Error).stack)).not.toMatch(/7700900|token of the test/);
  });

  test("that gets no answer may have gone out: it is to be tried again", async () => {
    answer = "hang up";
    await expect(texter().send(text)).rejects.toMatchObject({ kind: "unavailable" });
    await expect(
      createTwilioTexter({
        apiUrl: "http://127.0.0.1:1",
        accountSid: account,
        authToken: "x",
        from: "+1",
      }).send(text),
    ).rejects.toMatchObject({ kind: "unavailable", message: /^Twilio: no connection/ });
  });
});

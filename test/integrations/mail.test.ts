import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createConsoleMailer, createConsoleTexter } from "../../src/integrations/console/messages.ts";
import type { Mail } from "../../src/integrations/ports/messages.ts";
import { createSmtpMailer } from "../../src/integrations/smtp/mailer.ts";
import { type MailServer, startMailServer } from "../support/mail-server.ts";

let server: MailServer;
let mailer: ReturnType<typeof createSmtpMailer>;

beforeAll(async () => {
  server = await startMailServer();
  mailer = createSmtpMailer({
    url: server.url,
    from: "CreatorFlow <alerts@creatorflow.example>",
    timeoutMilliseconds: 2_000,
  });
});
afterAll(async () => {
  mailer.close();
  await server.stop();
});

const mail = (changes: Partial<Mail> = {}): Mail => ({
  to: "anna@example.test",
  subject: "Low stock: 9 of Blue shirt",
  paragraphs: ["Low stock.", "Order 185 - 9 = 176."],
  messageId: "0190a5f2-0000-7000-8000-000000000001",
  ...changes,
});

describe("a mail", () => {
  test("arrives as text and as HTML, from us, under an id of ours", async () => {
    await mailer.send(mail());
    const [received] = server.mails;
    expect(received).toMatchObject({
      to: ["anna@example.test"],
      subject: "Low stock: 9 of Blue shirt",
      messageId: "<alert.0190a5f2-0000-7000-8000-000000000001@creatorflow.example>",
    });
    expect(received?.raw).toMatch(/^From: CreatorFlow <alerts@creatorflow\.example>/m);
    expect(received?.raw).toMatch(/Content-Type: multipart\/alternative/);
    expect(received?.raw).toMatch(/Auto-Submitted: auto-generated/);
    expect(received?.raw).toContain("<p>Order 185 - 9 = 176.</p>");
    expect(received?.raw).toMatch(/^Order 185 - 9 = 176\.\r?$/m);
  });

  test("escapes what sellers call their goods", async () => {
    await mailer.send(mail({ paragraphs: [`<script>alert("x")</script> & 'more'`] }));
    const html = server.mails.at(-1)?.raw.split("text/html").at(-1) ?? "";
    expect(html).toContain("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;more&#39;");
    expect(html).not.toContain("<script>");
  });

  test("has no header more, whatever its subject or its receiver hold", async () => {
    await mailer.send(mail({ subject: "Shirt\r\nBcc: everybody@example.test\r\n\r\nbody" }));
    const received = server.mails.at(-1);
    expect(received?.to).toEqual(["anna@example.test"]);
    const headers = received?.raw.split("\r\n\r\n", 1)[0];
    expect(headers).toContain("Subject: Shirt");
    expect(headers).not.toMatch(/^Bcc:/im);
  });

  test.each([
    ["busy for the mail", { at: "data", status: 451 }, "unavailable", "SMTP 451 (EMESSAGE)"],
    ["busy for the receiver", { at: "rcpt", status: 450 }, "unavailable", "SMTP 450 (EENVELOPE)"],
    ["unknown receiver", { at: "rcpt", status: 550 }, "refused", "SMTP 550 (EENVELOPE)"],
    ["refused as spam", { at: "data", status: 554 }, "refused", "SMTP 554 (EMESSAGE)"],
  ] as const)("that the server answers with: %s", async (_what, trouble, kind, message) => {
    server.trouble(trouble);
    const failure = await mailer.send(mail({ to: "canary@example.test" })).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: "MessageFailure", kind, message });
    expect(JSON.stringify(failure) + String((failure as Error).stack)).not.toContain("canary");
    expect((failure as Error).cause).toBeUndefined();
  });

  test("whose connection breaks after it was taken may have gone out: it is to be tried again", async () => {
    server.trouble({ at: "hangup" });
    const failure = await mailer.send(mail({ messageId: "hangup" })).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: "unavailable" });
    expect(server.mails.at(-1)?.messageId).toContain("hangup");
    await mailer.send(mail({ messageId: "afterwards" }));
    expect(server.mails.at(-1)?.messageId).toContain("afterwards");
  });

  test("to a server that is not there is to be tried again", async () => {
    const nowhere = createSmtpMailer({ url: "smtp://127.0.0.1:1", from: "alerts@creatorflow.example" });
    await expect(nowhere.send(mail())).rejects.toMatchObject({
      kind: "unavailable",
      message: /^SMTP: E[A-Z]+$/,
    });
    nowhere.close();
  });
});

test("without servers the log says that messages would go, and never to whom", async () => {
  const lines: string[] = [];
  const logger = pino({}, { write: (line) => void lines.push(line) });
  await createConsoleMailer(logger).send(mail({ to: "canary@example.test" }));
  await createConsoleTexter(logger).send({ to: "+447700900123", body: "Out of stock", messageId: "1" });
  expect(lines).toHaveLength(2);
  expect(lines.join("")).toContain("would go out");
  expect(lines.join("")).not.toMatch(/canary|7700900/);
});

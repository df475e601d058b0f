import { createTransport } from "nodemailer";
import { type Mail, type Mailer, MessageFailure } from "../ports/messages.ts";

export interface SmtpOptions {
  /** smtp:// or smtps://, with login and password where the server wants them. */
  readonly url: string;
  /** Whom mails come from: an address, or a name and an address in angle brackets. */
  readonly from: string;
  /** Milliseconds for connecting, and for each answer of the server's; 10 s and 20 s unless told. */
  readonly timeoutMilliseconds?: number;
}

/** Sends mail through an SMTP server, as text and as HTML. Connections are kept for the next mails. */
export function createSmtpMailer({
  url,
  from,
  timeoutMilliseconds,
}: SmtpOptions): Mailer & { close(): void } {
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: 2,
    connectionTimeout: timeoutMilliseconds ?? 10_000,
    greetingTimeout: timeoutMilliseconds ?? 10_000,
    socketTimeout: timeoutMilliseconds ?? 20_000,
    // What a mail says is text of ours and of sellers: it never names a file or an address to read from.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const host = hostOf(from);
  return {
    async send(mail) {
      try {
        await transport.sendMail({
          from,
          to: { name: "", address: mail.to },
          subject: mail.subject,
          text: textOf(mail),
          html: htmlOf(mail),
          messageId: `<alert.${mail.messageId}@${host}>`,
          headers: { "Auto-Submitted": "auto-generated" },
        });
      } catch (error) {
        throw failureOf(error);
      }
    },
    close: () => transport.close(),
  };
}

function textOf({ paragraphs }: Mail): string {
  return `${paragraphs.join("\n\n")}\n`;
}

function htmlOf({ subject, paragraphs }: Mail): string {
  const body = paragraphs.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join("\n");
  return `<!doctype html>
<html><head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>
<body>
${body}
</body></html>
`;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

function hostOf(from: string): string {
  return /@([A-Za-z0-9.-]+)/.exec(from)?.[1] ?? "localhost";
}

/** The library's own words hold the address and what the server said about it; only codes are passed on. */
function failureOf(error: unknown): MessageFailure {
  const { code, responseCode } = error as { readonly code?: unknown; readonly responseCode?: unknown };
  const name = typeof code === "string" && /^[A-Z]{2,20}$/.test(code) ? code : "unknown";
  if (typeof responseCode !== "number") return new MessageFailure("unavailable", `SMTP: ${name}`);
  // A login that is refused is mended by people, and then the same mail goes out.
  const isForEver = responseCode >= 500 && responseCode < 600 && name !== "EAUTH";
  return new MessageFailure(isForEver ? "refused" : "unavailable", `SMTP ${responseCode} (${name})`);
}

import type { Logger } from "pino";
import type { Mailer, Texter } from "../ports/messages.ts";

/** Where no mail server is set up: says that a mail would go, and never to whom. */
export function createConsoleMailer(logger: Logger): Mailer {
  return {
    send({ messageId, subject }) {
      logger.info({ messageId, subject }, "A mail would go out now: SMTP_URL is not set");
      return Promise.resolve();
    },
  };
}

/** Where no provider of text messages is set up: says that one would go, and never to whom. */
export function createConsoleTexter(logger: Logger): Texter {
  return {
    send({ messageId, body }) {
      logger.info({ messageId, body }, "A text message would go out now: TWILIO_ACCOUNT_SID is not set");
      return Promise.resolve();
    },
  };
}

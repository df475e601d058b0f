import type { AddressInfo, Socket } from "node:net";
import { SMTPServer } from "smtp-server";

export interface ReceivedMail {
  readonly to: readonly string[];
  readonly messageId: string;
  readonly subject: string;
  /** Headers and bodies as they came, transfer encoding undone. */
  readonly raw: string;
}

/** What the server does with the next mail after it has it: answer with a status, or keep it and hang up unheard. */
export type MailTrouble =
  | { readonly at: "rcpt" | "data"; readonly status: number }
  | { readonly at: "hangup" };

export interface MailServer {
  readonly url: string;
  readonly mails: readonly ReceivedMail[];
  /** Troubles for the next mails, one each. */
  trouble(...troubles: readonly MailTrouble[]): void;
  forgetTroubles(): void;
  stop(): Promise<void>;
}

/** A real SMTP server, which keeps what it gets and misbehaves on request. */
export async function startMailServer(): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  const troubles: MailTrouble[] = [];
  const refuse = (status: number): Error => Object.assign(new Error("turned away"), { responseCode: status });
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    logger: false,
    onRcptTo(_address, _session, answer) {
      const [next] = troubles;
      if (next?.at !== "rcpt") {
        answer();
        return;
      }
      troubles.shift();
      answer(refuse(next.status));
    },
    onData(stream, session, answer) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const [next] = troubles;
        if (next?.at === "data") {
          troubles.shift();
          answer(refuse(next.status));
          return;
        }
        mails.push(
          read(
            Buffer.concat(chunks).toString("utf8"),
            session.envelope.rcptTo.map(({ address }) => address),
          ),
        );
        if (next?.at === "hangup") {
          troubles.shift();
          // The mail is taken and the answer lost, as when a connection breaks in between.
          for (const connection of connections) connection.destroy();
          return;
        }
        answer();
      });
    },
  });
  const connections = new Set<Socket>();
  server.server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
  });
  server.on("error", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    trouble(...added) {
      troubles.push(...added);
    },
    forgetTroubles() {
      troubles.length = 0;
    },
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function read(text: string, to: readonly string[]): ReceivedMail {
  const bytes = text
    .replaceAll(/=\r\n/g, "")
    .replaceAll(/=([0-9A-F]{2})/g, (_match, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  const raw = Buffer.from(bytes, "latin1").toString("utf8");
  const unfolded = raw.replaceAll(/\r\n[ \t]+/g, " ");
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, "im").exec(unfolded)?.[1]?.trim() ?? "";
  return { to, messageId: header("Message-ID"), subject: header("Subject"), raw };
}

import net from "node:net";
import { setTimeout as pause } from "node:timers/promises";

const patienceSeconds = 3;

/**
 * Makes sure that nobody listens on a port of this machine yet, so that a clash is told before anything starts. Waits
 * a moment for it, since what a killed start left behind is still on its way out.
 *
 * @throws Error naming the port, what wanted it, and the setting that moves it.
 */
export async function refuseTakenPort(port: number, setting: string, what: string): Promise<void> {
  const deadline = Date.now() + patienceSeconds * 1000;
  let failure: unknown;
  do {
    try {
      await listenBriefly(port);
      return;
    } catch (error) {
      failure = error;
      await pause(100);
    }
  } while (Date.now() < deadline);
  throw taken(port, setting, what, failure);
}

function taken(port: number, setting: string, what: string, cause: unknown): Error {
  const why =
    (cause as NodeJS.ErrnoException).code === "EADDRINUSE" ? "is taken" : `cannot be used (${String(cause)})`;
  return new Error(
    `Port ${port} for ${what} ${why}. Stop what listens there, or set ${setting} to a free port.`,
    { cause },
  );
}

/** A port of 127.0.0.1 that nobody listened on a moment ago. */
export async function findFreePort(): Promise<number> {
  return await listenBriefly(0);
}

async function listenBriefly(port: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const { port: used } = server.address() as net.AddressInfo;
      server.close(() => resolve(used));
    });
  });
}

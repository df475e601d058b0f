import { randomInt } from "node:crypto";
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

/** Below the ports that systems give out by themselves, of which a Temporal server takes some for its parts as it starts. */
const givenPorts = { from: 15_000, below: 32_000 };
const drawsMaximum = 50;

/** A port of 127.0.0.1 that nobody listened on a moment ago, and that nobody is given who does not ask for its number. */
export async function findFreePort(): Promise<number> {
  for (let draw = 0; draw < drawsMaximum; draw += 1) {
    const port = randomInt(givenPorts.from, givenPorts.below);
    const isFree = await listenBriefly(port).then(
      () => true,
      () => false,
    );
    if (isFree) return port;
  }
  throw new Error(`Of ${drawsMaximum} ports from ${givenPorts.from} on none was free`);
}

async function listenBriefly(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve()));
  });
}

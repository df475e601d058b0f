import net from "node:net";

/**
 * A TCP connection's troubles, on loopback: everything that goes from one part to another passes here, and on demand it
 * does not.
 *
 * - `pass`: as if it were not there.
 * - `cut`: connections are dropped and new ones refused, as when a cable is pulled.
 * - `delay`: every chunk comes late, in order.
 * - `half_open`: what the client sends goes nowhere, and nobody is told.
 * - `trickle`: one byte a second each way.
 *
 * Bytes held back go on when the link heals, unless its connections are reset then, as those of a vanished peer are.
 */
export type LinkFault =
  | { readonly kind: "pass" }
  | { readonly kind: "cut" }
  | { readonly kind: "delay"; readonly milliseconds: number }
  | { readonly kind: "half_open" }
  | { readonly kind: "trickle" };

export interface FaultProxy {
  readonly name: string;
  readonly port: number;
  /** What the link does from now on, to connections that are open as well. */
  suffer(fault: LinkFault): void;
  /** Ends every open connection with a reset; new ones are taken. */
  reset(): void;
  close(): Promise<void>;
}

const trickleMilliseconds = 1_000;

interface Pipe {
  readonly kick: () => void;
}

/** Listens on 127.0.0.1 and hands on to a port of 127.0.0.1. */
export async function startFaultProxy(name: string, target: number): Promise<FaultProxy> {
  let fault: LinkFault = { kind: "pass" };
  const sockets = new Set<net.Socket>();
  const pipes = new Set<Pipe>();

  // Each direction ends by itself, as its sender wants.
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    if (fault.kind === "cut") {
      client.resetAndDestroy();
      return;
    }
    const upstream = net.connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
    const ends = [
      startPipe(client, upstream, "out", () => fault),
      startPipe(upstream, client, "back", () => fault),
    ];
    for (const pipe of ends) pipes.add(pipe);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      // The other side hears of it by the close that follows.
      socket.on("error", () => undefined);
      socket.once("close", (isBroken) => {
        sockets.delete(socket);
        for (const pipe of ends) pipes.delete(pipe);
        // What was under way is lost, as on a line that breaks; what ended in order is still handed on.
        if (isBroken) (socket === client ? upstream : client).resetAndDestroy();
      });
    }
  });
  const reset = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: 0, host: "127.0.0.1" }, resolve);
  });
  return {
    name,
    port: (server.address() as net.AddressInfo).port,
    suffer(next) {
      fault = next;
      if (next.kind === "cut") reset();
      for (const pipe of pipes) pipe.kick();
    },
    reset,
    async close() {
      reset();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Moves chunks one way, one at a time, as the fault of the moment allows. */
function startPipe(
  from: net.Socket,
  to: net.Socket,
  direction: "out" | "back",
  faultNow: () => LinkFault,
): Pipe {
  const queue: { readonly chunk: Buffer; readonly cameAt: number }[] = [];
  let ended = false;
  let timer: NodeJS.Timeout | null = null;

  const later = (milliseconds: number): void => {
    timer ??= setTimeout(() => {
      timer = null;
      move();
    }, milliseconds);
  };

  function move(): void {
    while (queue.length > 0 && !to.destroyed) {
      const [first] = queue;
      if (first === undefined) return;
      const fault = faultNow();
      if (fault.kind === "half_open" && direction === "out") return;
      if (fault.kind === "delay" && first.cameAt + fault.milliseconds > Date.now()) {
        later(first.cameAt + fault.milliseconds - Date.now());
        return;
      }
      if (fault.kind === "trickle") {
        to.write(first.chunk.subarray(0, 1));
        queue.shift();
        if (first.chunk.length > 1) queue.unshift({ ...first, chunk: first.chunk.subarray(1) });
        later(trickleMilliseconds);
        return;
      }
      queue.shift();
      if (!to.write(first.chunk)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
    }
    if (ended && queue.length === 0 && !to.destroyed) to.end();
  }

  from.on("data", (chunk: Buffer) => {
    queue.push({ chunk, cameAt: Date.now() });
    if (timer === null) move();
  });
  from.once("end", () => {
    ended = true;
    move();
  });
  from.once("close", () => {
    if (timer !== null) clearTimeout(timer);
  });
  return {
    kick() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      move();
    },
  };
}

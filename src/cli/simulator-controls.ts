import type { z } from "zod";
import { CommandFailure } from "./failure.ts";

/**
 * Asks one of the simulator's controls and reads its answer.
 *
 * @throws CommandFailure when it does not answer (3) or refuses (4).
 */
export async function callSimulator<Shape extends z.ZodType>(
  simulatorUrl: string,
  method: "GET" | "POST" | "PUT",
  route: string,
  shape: Shape,
  body?: object,
): Promise<z.output<Shape>> {
  const response = await fetch(new URL(route, simulatorUrl), {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    signal: AbortSignal.timeout(30_000),
  }).catch((cause: unknown) => {
    throw new CommandFailure(3, `The simulator at ${simulatorUrl} does not answer.`, String(cause));
  });
  if (!response.ok) throw new CommandFailure(4, `The simulator refused ${route}: ${await response.text()}`);
  return shape.parse(await response.json());
}

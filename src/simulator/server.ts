import { parseArgs } from "node:util";
import closeWithGrace from "close-with-grace";
import { z } from "zod";
import { startSimulator } from "./app.ts";

/** Entry point: `tsx src/simulator/server.ts --port 3900 --home DIR`. A wrong option ends it with code 2,
 * a taken port or locked books with code 1. */
const optionsSchema = z.object({
  port: z.coerce.number().int().min(0).max(65_535).default(3900),
  host: z.string().min(1).default("127.0.0.1"),
  home: z.string().min(1).default(".creatorflow/simulator"),
  "time-scale": z.coerce.number().min(1).max(100_000).default(1),
  "webhook-url": z.url({ protocol: /^https?$/ }).optional(),
  "orders-per-minute": z.coerce.number().min(0).max(6_000).default(12),
  "second-shop": z.enum(["on", "off"]).default("off"),
  "log-level": z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
});

function readOptions() {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      port: text,
      host: text,
      home: text,
      "time-scale": text,
      "webhook-url": text,
      "orders-per-minute": text,
      "second-shop": text,
      "log-level": text,
    },
  });
  return optionsSchema.parse(values);
}

function fail(code: number, error: unknown): never {
  const text = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(code);
}

async function start(): Promise<void> {
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions();
  } catch (error) {
    fail(2, error);
  }
  const simulator = await startSimulator({
    port: options.port,
    host: options.host,
    home: options.home,
    timeScale: options["time-scale"],
    webhookUrl: options["webhook-url"] ?? null,
    ordersPerMinute: options["orders-per-minute"],
    logLevel: options["log-level"],
    secondShop: options["second-shop"] === "on",
  }).catch((error: unknown) =>
    fail(
      1,
      error instanceof Error && "code" in error && error.code === "EADDRINUSE"
        ? `Port ${options.port} is taken: choose another with --port.`
        : error,
    ),
  );
  process.stdout.write(`simulator listening at ${simulator.url}\n`);
  closeWithGrace({ delay: 2_000 }, () => simulator.stop());
}

await start();

import { fileURLToPath } from "node:url";
import { DefaultLogger, Runtime, Worker } from "@temporalio/worker";
import { connectNative } from "../../src/temporal.ts";

/** Entry point: a worker that keeps its workflows in memory until it is killed. */
const { address, namespace, taskQueue } = JSON.parse(process.argv[2] ?? "{}") as {
  readonly address: string;
  readonly namespace: string;
  readonly taskQueue: string;
};
Runtime.install({ logger: new DefaultLogger("ERROR") });
const worker = await Worker.create({
  connection: await connectNative({ address, namespace }),
  namespace,
  taskQueue,
  workflowsPath: fileURLToPath(new URL("../../bench/floor/workflow.ts", import.meta.url)),
});
await worker.run();

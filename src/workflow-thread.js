import v8 from "node:v8";
import { isMainThread } from "node:worker_threads";

/**
 * Loaded before the worker's entry point (`node --import`), and with it into each thread that runs workflows: there it keeps the SDK
 * from hooking into promises.
 *
 * The SDK (1.24, `vm-shared.js`) writes down where each promise of a workflow was made, for the tab "Call Stack" of the Web UI: three
 * functions are compiled and a stack is translated through the source map for each promise (temporalio/sdk-typescript#1587). That took
 * two fifths of these threads' time, and no option of a Worker leaves it out. Without it the tab stays empty; a worker that is started
 * without this file fills it again.
 *
 * What the public module tells is replaced, and the object behind it let be: AsyncLocalStorage hooks into promises through that, and
 * without it a timed wait would cancel its whole workflow in the place of its timer.
 */
if (!isMainThread)
  Object.assign(v8, { promiseHooks: { ...v8.promiseHooks, createHook: () => () => undefined } });

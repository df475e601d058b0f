import type { Logger } from "pino";
import type { DemoShopName } from "./catalogue.ts";
import { Faults } from "./faults.ts";
import { Orders } from "./orders.ts";
import { Scenarios } from "./scenarios.ts";
import { Scheduler } from "./scheduler.ts";
import { Books } from "./state.ts";
import { Stock } from "./stock.ts";
import { Webhooks } from "./webhooks.ts";

/** The simulated shop, put together: what endpoints and controls are handed. */
export interface Simulation {
  readonly books: Books;
  readonly stock: Stock;
  readonly orders: Orders;
  readonly scenarios: Scenarios;
  readonly faults: Faults;
  readonly logger: Logger;
  stop(): Promise<void>;
}

/**
 * Opens a shop's books in a folder and goes on where they ended. A write that fails ends in `onBroken`.
 *
 * @param shop which of the demo shops new books get, and the app's secret when another shop has it already.
 */
export async function openSimulation(
  folder: string,
  shop: { readonly name: DemoShopName; readonly appSecret: string | null },
  settings: Parameters<Books["changeSettings"]>[0],
  logger: Logger,
  onBroken: (error: unknown) => void,
): Promise<Simulation> {
  const books = await Books.open(folder, shop.name, shop.appSecret);
  books.changeSettings(settings);
  const scheduler = new Scheduler((action) => {
    try {
      action();
      books.store.flush().catch(onBroken);
    } catch (error) {
      onBroken(error);
    }
  });
  const faults = new Faults(books);
  const webhooks = new Webhooks(books, scheduler, faults, logger);
  const stock = new Stock(books, webhooks);
  const orders = new Orders(books, stock, webhooks, scheduler);
  const scenarios = new Scenarios(books, orders, scheduler);
  await books.store.flush();
  webhooks.resume();
  orders.resume();
  scenarios.resume();
  return {
    books,
    stock,
    orders,
    scenarios,
    faults,
    logger,
    stop: async () => {
      scheduler.stop();
      await webhooks.stop();
      await books.store.close();
    },
  };
}

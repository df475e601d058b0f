import { dispatchDeliveries } from "./deliveries.ts";
import type { IntakeDependencies } from "./dependencies.ts";
import { type Loop, startLoop } from "./loop.ts";
import { outboxClasses, workOffOutbox } from "./outbox.ts";
import { Rushes } from "../db/rushes.ts";
import { RushTellings } from "./rush-tellings.ts";
import { ShopPauses } from "./shop-pauses.ts";
import { ShopsUnderWay } from "./shops-under-way.ts";
import { followAllSales } from "./demand.ts";
import { followSales, salesRestMilliseconds } from "./sales.ts";
import { sweepStuckWorkflows } from "./stuck-workflows.ts";
import { keepSchedules } from "./schedules.ts";
import {
  keepPartitions,
  sealAuditLogs,
  sweepCorruptStock,
  sweepExpiredHolds,
  sweepHandedOver,
  sweepSettled,
} from "./upkeep.ts";
import { connectShops, sweepUnhandledOrders } from "./sweep.ts";

/**
 * The dispatcher: turns rows into what must follow from them. Any number of processes may run one; rows are claimed with a
 * lease, and every effect may be repeated.
 */
export function startDispatcher(dependencies: IntakeDependencies): Loop {
  const { logger } = dependencies;
  const deliveryPauses = new ShopPauses();
  const underWay = new ShopsUnderWay();
  const rushes = new Rushes((shop, rush) => {
    logger.info(shop, rush ? "A rush of new orders has begun: what may wait, waits" : "The rush is over");
  });
  const tellings = new RushTellings(logger);
  const channelPauses = new ShopPauses();
  const loops = [
    startLoop(
      "deliveries",
      () => dispatchDeliveries(dependencies, deliveryPauses, underWay, { rushes, tellings }),
      {
        restMilliseconds: 100,
        logger,
      },
    ),
    startLoop("outbox to workflows", () => workOffOutbox(dependencies, outboxClasses.workflows), {
      restMilliseconds: 50,
      logger,
    }),
    startLoop("outbox to pushes", () => workOffOutbox(dependencies, outboxClasses.offers), {
      restMilliseconds: 50,
      logger,
    }),
    startLoop(
      "outbox to the channel",
      () => workOffOutbox(dependencies, outboxClasses.channel, channelPauses),
      {
        restMilliseconds: 500,
        logger,
      },
    ),
    startLoop("outbox to alerts", () => workOffOutbox(dependencies, outboxClasses.alerts), {
      restMilliseconds: 200,
      logger,
    }),
    startLoop("sales", () => followSales(dependencies).then(() => 0), {
      restMilliseconds: salesRestMilliseconds(dependencies.timeScale),
      logger,
    }),
    startLoop("connecting shops", () => connectShops(dependencies), { restMilliseconds: 2_000, logger }),
    startLoop("schedules", () => keepSchedules(dependencies).then(() => 0), {
      restMilliseconds: 30_000,
      logger,
    }),
    startLoop("demand", () => followAllSales(dependencies).then(() => 0), {
      restMilliseconds: 5_000,
      logger,
    }),
    startLoop("sweep", () => sweepUnhandledOrders(dependencies).then(() => 0), {
      restMilliseconds: 15_000,
      logger,
    }),
    startLoop("sealing the audit log", () => sealAuditLogs(dependencies), {
      restMilliseconds: 10_000,
      logger,
    }),
    startLoop("expired holds", () => sweepExpiredHolds(dependencies).then(() => 0), {
      restMilliseconds: 30_000,
      logger,
    }),
    startLoop("stuck workflows", () => sweepStuckWorkflows(dependencies), {
      restMilliseconds: 10_000,
      logger,
    }),
    startLoop("units handed over", () => sweepHandedOver(dependencies), {
      restMilliseconds: 60_000,
      logger,
    }),
    startLoop("forgetting what is settled", () => sweepSettled(dependencies), {
      restMilliseconds: 600_000,
      logger,
    }),
    startLoop("corrupted stock", () => sweepCorruptStock(dependencies).then(() => 0), {
      restMilliseconds: 300_000,
      logger,
    }),
    startLoop("partitions of the ledger", () => keepPartitions(dependencies).then(() => 0), {
      restMilliseconds: 3_600_000,
      logger,
    }),
  ];
  return {
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
      await underWay.allEnded();
      await tellings.stop();
    },
  };
}

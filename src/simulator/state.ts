import { randomBytes } from "node:crypto";
import { demoCatalogue, demoSeed, type DemoShopName, demoShops } from "./catalogue.ts";
import { faultRecord } from "./fault-plan.ts";
import {
  accountRecord,
  authCodeRecord,
  burstRecord,
  callCountRecord,
  counterRecord,
  grantRecord,
  orderRecord,
  productRecord,
  settingsRecord,
  skuRecord,
  warehouseRecord,
  webhookRecord,
  type Settings,
} from "./records.ts";
import { Shelf, Store } from "./store.ts";

/** First numbers of each kind, above 2^53 and apart from each other, as large as TikTok's own. */
const idBases = {
  order: 576_653_688_135_258_179n,
  line: 577_087_614_418_520_581n,
  parcel: 1_153_132_168_123_457_677n,
  cancel: 4_035_318_504_086_604_083n,
  webhook: 7_380_066_284_010_030_893n,
  event: 7_512_345_678_901_234_577n,
  buyer: 7_494_567_890_123_456_789n,
  warehouse: 7_289_000_000_000_000_021n,
  burst: 6_917_529_027_641_081_857n,
  grant: 5_188_146_770_730_811_393n,
};

/** Everything the simulator remembers. All changes are synchronous and end up in one batch of `store.flush`. */
export class Books {
  readonly store: Store;
  readonly orders;
  readonly skus;
  readonly products;
  readonly warehouses;
  readonly grants;
  readonly authCodes;
  /** Webhooks still to be sent; finished ones are on disk alone, under `webhook/`. */
  readonly pendingWebhooks;
  readonly bursts;
  readonly calls;
  readonly faults;
  readonly #accounts;
  readonly #settings;
  readonly #counters;

  private constructor(store: Store) {
    this.store = store;
    this.orders = new Shelf(store, "order", orderRecord);
    this.skus = new Shelf(store, "sku", skuRecord);
    this.products = new Shelf(store, "product", productRecord);
    this.warehouses = new Shelf(store, "warehouse", warehouseRecord);
    this.grants = new Shelf(store, "grant", grantRecord);
    this.authCodes = new Shelf(store, "auth-code", authCodeRecord);
    this.pendingWebhooks = new Shelf(store, "pending-webhook", webhookRecord);
    this.bursts = new Shelf(store, "burst", burstRecord);
    this.calls = new Shelf(store, "call", callCountRecord);
    this.faults = new Shelf(store, "fault", faultRecord);
    this.#accounts = new Shelf(store, "account", accountRecord);
    this.#settings = new Shelf(store, "settings", settingsRecord);
    this.#counters = new Shelf(store, "ids", counterRecord);
  }

  /**
   * Opens the books of a folder; a new folder gets a demo shop.
   *
   * @param appSecret of the app that another shop's books have made already; null makes one.
   */
  static async open(folder: string, shop: DemoShopName, appSecret: string | null): Promise<Books> {
    const books = new Books(await Store.open(folder));
    const shelves = [
      books.orders,
      books.skus,
      books.products,
      books.warehouses,
      books.grants,
      books.authCodes,
      books.pendingWebhooks,
      books.bursts,
      books.calls,
      books.faults,
      books.#accounts,
      books.#settings,
      books.#counters,
    ];
    for (const shelf of shelves) await shelf.load();
    if (books.#counters.size === 0) books.#openShop(shop, appSecret);
    await books.store.flush();
    return books;
  }

  get account() {
    return this.#accounts.get("account");
  }

  get settings() {
    return this.#settings.get("settings");
  }

  changeSettings(changes: Partial<Omit<Settings, "id">>): void {
    this.#settings.save({ ...this.settings, ...changes });
  }

  /** A number nobody had before; rising with time within a kind. */
  newId(kind: keyof typeof idBases): string {
    const last = this.#counters.get("ids").last + 1;
    this.#counters.save({ id: "ids", last });
    return (idBases[kind] + BigInt(last) * 1009n).toString();
  }

  newSecret(prefix: string): string {
    return prefix + randomBytes(24).toString("base64url");
  }

  /** Real milliseconds that a duration of TikTok's world takes here. */
  scaled(milliseconds: number): number {
    return Math.round(milliseconds / this.settings.timeScale);
  }

  #openShop(shop: DemoShopName, appSecret: string | null): void {
    const { account: demo, warehouses, products, skus } = demoCatalogue(demoSeed, shop);
    this.#counters.save({ id: "ids", last: demoShops[shop].numbersBefore });
    this.#settings.save({
      id: "settings",
      webhookUrl: null,
      ordersPerMinute: 0,
      timeScale: 1,
      requestsPerSecond: 50,
      requestBurst: 50,
    });
    this.#accounts.save({
      ...demo,
      id: "account",
      appSecret: appSecret ?? randomBytes(20).toString("hex"),
      shopCipher: this.newSecret("GCP_"),
    });
    for (const record of warehouses) this.warehouses.save(record);
    for (const record of products) this.products.save(record);
    for (const record of skus) this.skus.save(record);
  }
}

import { createHash } from "node:crypto";
import type { Product, Sku, Warehouse } from "./records.ts";

/**
 * The demo shop: a creator's shop with 200 SKUs in 71 products, the same for the same seed. Everything drawn follows
 * from the seed and a name, so that one more product changes no other.
 */
export const demoSeed = "creatorflow-demo";

/** SKUs at the end of the catalogue that only bursts sell. */
const reservedSkuCount = 40;

interface ProductLine {
  readonly kind: string;
  readonly code: string;
  readonly pricePence: number;
  readonly designs: readonly string[];
  /** Name, code and what it costs more. */
  readonly variants: readonly (readonly [name: string, code: string, extraPence: number])[];
}

const sizes = [
  ["S", "S", 0],
  ["M", "M", 0],
  ["L", "L", 0],
  ["XL", "XL", 200],
] as const;

const productLines: readonly ProductLine[] = [
  {
    kind: "Soy Candle",
    code: "CND",
    pricePence: 1299,
    designs: [
      "Vanilla Fig",
      "Sea Salt",
      "Midnight Oud",
      "Peach Bellini",
      "Fresh Linen",
      "Spiced Chai",
      "Rainy Day",
    ],
    variants: [
      ["180 g", "180", 0],
      ["400 g", "400", 900],
    ],
  },
  {
    kind: "Phone Case",
    code: "CASE",
    pricePence: 1499,
    designs: [
      "Cherry Bow",
      "Checkerboard",
      "Wavy Lilac",
      "Smiley Daisy",
      "Cow Print",
      "Starry Night",
      "Matcha",
    ],
    variants: [
      ["iPhone 15", "I15", 0],
      ["iPhone 16", "I16", 0],
      ["iPhone 16 Pro", "I16P", 100],
      ["Galaxy S25", "S25", 0],
    ],
  },
  {
    kind: "Face Serum",
    code: "SER",
    pricePence: 1899,
    designs: [
      "Niacinamide",
      "Vitamin C",
      "Snail Mucin",
      "Hyaluronic",
      "Retinal Night",
      "Peptide Bounce",
      "Rice Water",
    ],
    variants: [
      ["30 ml", "30", 0],
      ["50 ml", "50", 800],
    ],
  },
  {
    kind: "Lip Oil",
    code: "LIP",
    pricePence: 799,
    designs: [
      "Glazed Berry",
      "Honey Glow",
      "Coconut Ice",
      "Watermelon",
      "Toffee Nude",
      "Rose Water",
      "Mint Fizz",
    ],
    variants: [
      ["Clear", "CLR", 0],
      ["Tinted", "TNT", 0],
      ["Shimmer", "SHM", 100],
    ],
  },
  {
    kind: "Enamel Mug",
    code: "MUG",
    pricePence: 1399,
    designs: ["Frog Club", "Book Worm", "Plant Parent", "Night Owl", "Cat Tax", "Tiny Chef", "Slow Morning"],
    variants: [["350 ml", "350", 0]],
  },
  {
    kind: "Tote Bag",
    code: "TOTE",
    pricePence: 1199,
    designs: [
      "Farmers Market",
      "Lemon Grove",
      "Library Card",
      "Mushroom",
      "Seaside",
      "Sunday Paper",
      "Olive Branch",
    ],
    variants: [
      ["Natural", "NAT", 0],
      ["Black", "BLK", 0],
    ],
  },
  {
    kind: "Charm Necklace",
    code: "NCK",
    pricePence: 1799,
    designs: ["Tiny Heart", "Moon Phase", "Pearl Drop", "Evil Eye", "Zodiac", "Seashell", "Lucky Clover"],
    variants: [
      ["Gold", "GLD", 0],
      ["Silver", "SLV", 0],
      ["Rose Gold", "RSE", 0],
    ],
  },
  {
    kind: "Art Print",
    code: "PRT",
    pricePence: 999,
    designs: [
      "Brighton Pier",
      "Wild Poppies",
      "Cosy Cabin",
      "City Lights",
      "Abstract Sun",
      "Botanical",
      "Koi Pond",
    ],
    variants: [
      ["A5", "A5", 0],
      ["A4", "A4", 400],
      ["A3", "A3", 900],
    ],
  },
  {
    kind: "T-Shirt",
    code: "TEE",
    pricePence: 1999,
    designs: [
      "Chaos Gremlin",
      "Main Character",
      "Soft Launch",
      "Bed Rotting",
      "Delulu",
      "Girl Dinner",
      "Touch Grass",
    ],
    variants: sizes,
  },
  {
    kind: "Hoodie",
    code: "HOOD",
    pricePence: 3499,
    designs: [
      "Cloud Nine",
      "Off Duty",
      "Sleepy Club",
      "Overthinkers",
      "Retro Sun",
      "Study Date",
      "Pistachio",
      "Creator Club",
    ],
    variants: sizes,
  },
];

/** The seller's two shops: what only differs between them. Ids rise from their `first` ones. */
export const demoShops = {
  first: {
    shopId: "7495540735365777507",
    shopCode: "GBLCDEMO77",
    shopName: "Studio Marlow",
    warehouse: { id: "7289000000000000011", name: "Leeds Studio", isDefault: true },
    firstProductId: 1_729_400_000_000_000_003n,
    firstSkuId: 1_729_500_000_000_000_009n,
    /** How many numbers of each kind were given out before the shop's first: no two shops give out the same. */
    numbersBefore: 0,
  },
  second: {
    shopId: "7495540735365790211",
    shopCode: "GBLCDEMO78",
    shopName: "Marlow Outlet",
    warehouse: { id: "7289000000000000987", name: "Leeds Studio (Outlet)", isDefault: true },
    firstProductId: 1_729_600_000_000_000_011n,
    firstSkuId: 1_729_700_000_000_000_017n,
    numbersBefore: 500_000_000,
  },
} as const;
export type DemoShopName = keyof typeof demoShops;

/**
 * A whole demo shop as it stands on its first day. The second sells the same seller SKUs from the same shelf, under numbers
 * of its own.
 */
export function demoCatalogue(seed: string, name: DemoShopName) {
  const shop = demoShops[name];
  const warehouse: Warehouse = shop.warehouse;
  const products: Product[] = [];
  const skus: Sku[] = [];
  for (const line of productLines) {
    for (const [design, designName] of line.designs.entries()) {
      const product = {
        id: numberedId(shop.firstProductId, products.length),
        title: `${designName} ${line.kind}`,
        createTime: 1_767_225_600 + products.length * 3600,
      };
      products.push(product);
      for (const [name, code, extraPence] of line.variants) {
        const sellerSku = `${line.code}-${String(design + 1).padStart(2, "0")}-${code}`;
        const units = draw(seed, `stock/${sellerSku}`, 20, 400);
        skus.push({
          id: numberedId(shop.firstSkuId, skus.length),
          productId: product.id,
          sellerSku,
          name,
          pricePence: line.pricePence + extraPence,
          reservedForBursts: false,
          campaignLocked: 0,
          creatorLocked: 0,
          cells: [openCell(warehouse.id, units)],
        });
      }
    }
  }
  for (const sku of skus.slice(-reservedSkuCount)) sku.reservedForBursts = true;
  return {
    account: {
      appKey: "6demo7creatorflow",
      sellerId: "7494105284601825101",
      sellerOpenId: "demoSellerOpenId-7Qp2",
      shopId: shop.shopId,
      shopCode: shop.shopCode,
      shopName: shop.shopName,
      region: "GB",
    },
    warehouses: [warehouse],
    products,
    skus,
  };
}

/** Stock that nothing has happened to yet. */
export function openCell(warehouseId: string, units: number) {
  return {
    warehouseId,
    available: units,
    committed: 0,
    initial: units,
    sold: 0,
    oversold: 0,
    cancelled: 0,
    cancelledOversold: 0,
    deducted: 0,
    setByApi: 0,
    setByHand: 0,
  };
}

/** An integer between two bounds, both included, that follows from a seed and a name alone. */
export function draw(seed: string, name: string, min: number, max: number): number {
  const number = createHash("sha256").update(`${seed}/${name}`).digest().readUIntBE(0, 6);
  return min + (number % (max - min + 1));
}

function numberedId(first: bigint, index: number): string {
  return (first + BigInt(index) * 4099n).toString();
}

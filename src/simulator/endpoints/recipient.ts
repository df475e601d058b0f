import { draw } from "../catalogue.ts";
import type { Order } from "../records.ts";

/** Invented buyers. Who a buyer is follows from the buyer's id; nothing of it is stored. */

const firstNames = ["Amelia", "Noah", "Isla", "Leo", "Freya", "Arjun", "Zara", "Callum", "Mei", "Tomasz"];
const lastNames = [
  "Hughes",
  "Patel",
  "Okafor",
  "Brown",
  "Nowak",
  "Campbell",
  "Evans",
  "Khan",
  "Murphy",
  "Lee",
];
const streets = [
  "Mill Lane",
  "Station Road",
  "Victoria Street",
  "Church Walk",
  "Park Avenue",
  "Harbour View",
];
const towns = [
  ["Brighton", "East Sussex", "BN1 4GH"],
  ["Bristol", "Bristol", "BS8 1TH"],
  ["Manchester", "Greater Manchester", "M4 1HQ"],
  ["Glasgow", "Glasgow City", "G11 6AA"],
  ["Cardiff", "Cardiff", "CF10 1EP"],
  ["York", "North Yorkshire", "YO1 7HH"],
] as const;

/**
 * The address of an order: unavailable while it is on hold, without districts before payment, and masked when TikTok
 * ships, since only TikTok's label carries the real one.
 */
export function recipientAddress(order: Order) {
  if (order.status === "ON_HOLD") return null;
  const choose = <Choice>(what: string, choices: readonly Choice[]) =>
    choices[draw(order.buyerId, what, 0, choices.length - 1)] as Choice;
  const mask = order.shippingType === "TIKTOK" ? masked : (text: string) => text;
  const firstName = mask(choose("first name", firstNames));
  const lastName = mask(choose("last name", lastNames));
  const [town, county, postalCode] = choose("town", towns);
  const street = mask(`${draw(order.buyerId, "house", 1, 180)} ${choose("street", streets)}`);
  const phone = `7700900${draw(order.buyerId, "phone", 100, 999)}`;
  return {
    name: `${firstName} ${lastName}`,
    first_name: firstName,
    last_name: lastName,
    phone_number: `(+44)${mask(phone)}`,
    full_address: `${street}, ${town}, ${county}, ${mask(postalCode)}, United Kingdom`,
    address_line1: street,
    address_line2: "",
    address_line3: "",
    address_line4: "",
    address_detail: street,
    ...(order.status === "UNPAID" ? {} : { district_info: districts(town, county) }),
    postal_code: mask(postalCode),
    region_code: "GB",
    post_town: town,
    delivery_preferences: { drop_off_location: "" },
  };
}

function districts(town: string, county: string) {
  const level = (address_level: string, address_level_name: string, address_name: string) => ({
    address_level,
    address_level_name,
    address_name,
    iso_code: address_level === "L0" ? "GB" : "",
  });
  return [level("L0", "country", "United Kingdom"), level("L1", "county", county), level("L2", "town", town)];
}

/** The first and last character stay. */
function masked(text: string): string {
  return text.length < 3 ? "**" : `${text.slice(0, 1)}${"*".repeat(text.length - 2)}${text.slice(-1)}`;
}

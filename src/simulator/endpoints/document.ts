import { createHmac } from "node:crypto";
import type { Order, Parcel } from "../records.ts";
import { sameText } from "../signature.ts";
import type { Books } from "../state.ts";

/** Shipping documents: links that work for a day, and the PDF behind them. */

const linkMilliseconds = 24 * 3_600_000;
/** Points; 72 an inch. */
const paper = { A6: [298, 420], A5: [420, 595] } as const;
export type PaperSize = keyof typeof paper;

/** A link to a parcel's document for a day of TikTok's time. */
export function documentUrl(
  books: Books,
  origin: string,
  parcel: Parcel,
  type: string,
  size: PaperSize,
): string {
  const expires = String(Date.now() + books.scaled(linkMilliseconds));
  const query = new URLSearchParams({ type, size, expires });
  query.set("token", linkToken(books, parcel.id, type, size, expires));
  return `${origin}/documents/${parcel.id}.pdf?${query.toString()}`;
}

/** Whether a link is one of ours and its day is not over. */
export function isLinkValid(
  books: Books,
  parcelId: string,
  link: { readonly type: string; readonly size: PaperSize; readonly expires: string; readonly token: string },
): boolean {
  const expected = linkToken(books, parcelId, link.type, link.size, link.expires);
  return sameText(expected, link.token) && Number(link.expires) > Date.now();
}

/** The document itself: one page, text only. */
export function renderDocument(order: Order, parcel: Parcel, type: string, size: PaperSize): Buffer {
  const lines = [
    type.replaceAll("_", " "),
    `Tracking ${parcel.trackingNumber ?? ""}`,
    `Package ${parcel.id}`,
    `Order ${order.id}`,
    `Items ${order.lines.filter(({ packageId }) => packageId === parcel.id).length}`,
  ];
  const [width, height] = paper[size];
  const text = lines.map((line) => `(${line}) Tj T*`).join("\n");
  return writePdf(width, height, `BT /F1 11 Tf 18 TL 24 ${height - 40} Td\n${text}\nET`);
}

function linkToken(books: Books, ...parts: readonly string[]): string {
  return createHmac("sha256", books.account.appSecret).update(parts.join("/")).digest("hex");
}

/** A PDF of one page. Its table of objects gives the byte at which each begins; all of it is ASCII. */
function writePdf(width: number, height: number, content: string): Buffer {
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${width} ${height}] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>`,
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
  ];
  let text = "%PDF-1.4\n";
  const offsets = objects.map((object, index) => {
    const offset = text.length;
    text += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return String(offset).padStart(10, "0");
  });
  const table = offsets.map((offset) => `${offset} 00000 n \n`).join("");
  const count = objects.length + 1;
  text += `xref\n0 ${count}\n0000000000 65535 f \n${table}trailer\n<< /Size ${count} /Root 1 0 R >>\nstartxref\n${text.length}\n%%EOF\n`;
  return Buffer.from(text, "ascii");
}

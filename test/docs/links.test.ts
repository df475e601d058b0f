import fs from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";

const top = path.resolve(import.meta.dirname, "../..");
const pages = [
  ...(await fs.readdir(top)).filter((name) => name.endsWith(".md")),
  ...(await fs.readdir(path.join(top, "docs"), { recursive: true }))
    .filter((name) => name.endsWith(".md"))
    .map((name) => path.join("docs", name)),
];

test("there are pages to check", () => {
  expect(pages).toEqual(expect.arrayContaining(["README.md", "docs/glossary.md", "docs/stock-model.md"]));
});

test.each(pages)("every link of %s leads somewhere", async (page) => {
  const text = (await fs.readFile(path.join(top, page), "utf8")).replaceAll(/^```[\s\S]*?^```/gm, "");
  const broken: string[] = [];
  for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^(https?|mailto):/.test(target)) continue;
    const [file = "", anchor] = target.split("#");
    const full = file === "" ? path.join(top, page) : path.resolve(top, path.dirname(page), file);
    const content = await readPlace(full);
    if (content === null || (anchor !== undefined && !anchorsOf(content).includes(anchor)))
      broken.push(target);
  }
  expect(broken).toEqual([]);
});

/** A page's text, nothing for a folder, null for what is not there. */
async function readPlace(place: string): Promise<string | null> {
  const found = await fs.stat(place).catch(() => null);
  if (found === null) return null;
  return found.isDirectory() ? "" : await fs.readFile(place, "utf8");
}

/** The anchors of a page's headings, as the usual renderers of Markdown make them. */
function anchorsOf(page: string): readonly string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

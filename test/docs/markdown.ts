import fs from "node:fs/promises";

/** A page of the project, by its path from the top. */
export async function readPage(path: string): Promise<string> {
  return await fs.readFile(new URL(`../../${path}`, import.meta.url), "utf8");
}

/** The cells of the table that follows a `<!-- name -->` mark, without its header. */
export function tableAfter(page: string, mark: string): readonly (readonly string[])[] {
  const [, after] = page.split(`<!-- ${mark} -->\n`);
  if (after === undefined) throw new Error(`The page has no mark ${mark}`);
  const rows = after.trimStart().split(/\n(?!\|)/)[0] ?? "";
  return rows
    .split("\n")
    .slice(2)
    .map((row) =>
      row
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** The contents of all fenced blocks in a language. */
export function blocksOf(page: string, language: string): readonly string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    ([, text]) => text ?? "",
  );
}

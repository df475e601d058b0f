import Table from "cli-table3";

/** How commands speak: results to stdout, as a table or with --json as one JSON value; progress and errors to stderr. */
export interface Output {
  /** Prints a result in one of its two forms. */
  result(value: unknown, asText: () => string): void;
  /** Says how far long work has come; on a terminal the line is overwritten. */
  progress(text: string): void;
  /** Ends the line that `progress` keeps overwriting. */
  endProgress(): void;
  /** Says why a command ended without doing what it was asked, and what to do about it. */
  failure(message: string, advice: string | null): void;
}

export function createOutput(options: { readonly json: boolean }): Output {
  const overwrites = process.stderr.isTTY;
  let open = false;
  let last = "";
  return {
    result(value, asText) {
      process.stdout.write(`${options.json ? JSON.stringify(value, null, 2) : asText()}\n`);
    },
    progress(text) {
      if (options.json || text === last) return;
      last = text;
      open = overwrites;
      process.stderr.write(overwrites ? `\r\u001b[K${text}` : `${text}\n`);
    },
    endProgress() {
      if (open) process.stderr.write("\n");
      open = false;
    },
    failure(message, advice) {
      process.stderr.write(
        options.json
          ? `${JSON.stringify({ error: message, advice })}\n`
          : `${message}${advice === null ? "" : `\n${advice}`}\n`,
      );
    },
  };
}

/** A table without lines, as wide as its contents. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): string {
  const made = new Table({
    head: [...head],
    chars: {
      top: "",
      "top-mid": "",
      "top-left": "",
      "top-right": "",
      bottom: "",
      "bottom-mid": "",
      "bottom-left": "",
      "bottom-right": "",
      left: "",
      "left-mid": "",
      mid: "",
      "mid-mid": "",
      right: "",
      "right-mid": "",
      middle: "  ",
    },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  made.push(...rows.map((row) => row.map((cell) => cell ?? "")));
  return made.toString();
}

/** A time as people read it: UTC, to the second. */
export function shortTime(iso: string | null): string {
  return iso === null ? "" : iso.replace("T", " ").replace(/\.\d+Z$/, "Z");
}

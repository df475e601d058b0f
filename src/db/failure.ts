import pg from "pg";

/**
 * True when the database (or an invariant of ours on the way to it) refused what was asked, so that asking the same again
 * gives the same refusal. False for everything that may pass by itself: lost connections, time-outs, deadlocks, a server
 * that is starting or full.
 */
export function isRefusedByDatabase(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) {
    const kind = (error.code ?? "").slice(0, 2);
    return kind === "22" || kind === "23" || error.code === "P0001" || error.code === "42501";
  }
  return error instanceof Error && error.message.startsWith("Broken invariant");
}

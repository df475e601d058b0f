import { hash, verify } from "@node-rs/argon2";

/** argon2id at 19 MiB, two passes: about 30 ms, in a thread of its own. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Makes the stored form of a password. */
export async function hashPassword(password: string): Promise<string> {
  return await hash(password, cost);
}

/** Compares a password with a stored form; without one it takes as long and says no. */
export function createPasswordCheck(): (stored: string | null, password: string) => Promise<boolean> {
  let nobody: Promise<string> | undefined;
  return async (stored, password) => {
    nobody ??= hashPassword("the password of nobody");
    const matches = await verify(stored ?? (await nobody), password);
    return matches && stored !== null;
  };
}

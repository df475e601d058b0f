/**
 * The environment we were started with, with some keys changed; null takes one away. For handing on as a whole, to a
 * child process or to `loadConfig`: what a key means is known to src/config.ts alone.
 */
export function inheritedEnvironment(
  changes: Readonly<Record<string, string | null>> = {},
): NodeJS.ProcessEnv {
  // eslint-disable-next-line no-restricted-properties -- handed on as it is; nothing here reads it
  const environment: NodeJS.ProcessEnv = { ...process.env };
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) Reflect.deleteProperty(environment, key);
    else environment[key] = value;
  }
  return environment;
}

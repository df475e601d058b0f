/** What a count of a level must be based on: its version, as HTTP writes it. */
export function etagOf({ version }: { readonly version: number }): string {
  return `"${version}"`;
}

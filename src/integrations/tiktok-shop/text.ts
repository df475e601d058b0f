/** NUL and lone surrogates are legal in JSON and illegal in PostgreSQL. */
export function storableText(text: string): string {
  return text.replaceAll("\u0000", "").replaceAll(/\p{Surrogate}/gu, "\u{fffd}");
}

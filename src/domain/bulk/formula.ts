/**
 * Text in a CSV file that a spreadsheet would take for a formula when somebody opens it. A cell is a formula when it begins
 * with one of these; a cell may also begin after a separator or a quote, since not every program splits the file as we did.
 * See OWASP, "CSV Injection".
 */
const startOfFormula = /(^|[,;|\t\r\n"'])(\s*)(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/g;
const leadingControl = /^(?=[\t\r\n])/;
const ownMark = /^'(?=\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20\t\r\n])/;

/** The text with an apostrophe wherever a formula could begin: shown as text everywhere, run nowhere. */
export function neutraliseFormula(text: string): string {
  return text.replaceAll(startOfFormula, "$1$2'").replace(leadingControl, "'");
}

/** A cell that `neutraliseFormula` has marked at its beginning, as it was: what was exported can be imported again. */
export function withoutFormulaMark(text: string): string {
  return text.replace(ownMark, "");
}

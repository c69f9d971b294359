/**
 * The files of accounts (passwd(5), shadow(5), group(5), gshadow(5), subuid(5)) are lines of fields with colons between them.
 * Their text is a byte string here (latin1), and whatever is not asked to change stays as it is: comments, lines that nobody
 * understands, their order.
 */

/** The fields of the first line for `name`; undefined when there is none (a line without a colon is for nobody). */
export function findFields(text: string, name: string): string[] | undefined {
  return allFields(text).find(([first, ...others]) => first === name && others.length > 0);
}

/** The fields of every line, the lines that are no entries too. */
export function allFields(text: string): string[][] {
  return text.split('\n').map((line) => line.split(':'));
}

/** The text with the first line for `name` made of what `change` returns; the same text when there is no such line. */
export function changeFields(
  text: string,
  name: string,
  change: (fields: readonly string[]) => readonly string[],
): string {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.includes(':') && line.split(':')[0] === name);
  const line = lines[at];
  if (line === undefined) return text;
  lines[at] = change(line.split(':')).join(':');
  return lines.join('\n');
}

/**
 * The text with one more line, at the end, or before the first line that asks NIS (`+...`, `-...`): behind those an entry may
 * never be reached.
 */
export function addFields(text: string, fields: readonly string[]): string {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const nis = lines.findIndex((line) => /^[+-]/.test(line));
  lines.splice(nis < 0 ? lines.length : nis, 0, fields.join(':'));
  return `${lines.join('\n')}\n`;
}

/** Whether `name` can stand in the first field: not empty, no colon or line break, nothing that makes it a comment or asks NIS. */
export function isAccountName(name: string): boolean {
  return /^[^\s:,#+\-/\p{Cc}][^\s:,/\p{Cc}]*$/u.test(name);
}

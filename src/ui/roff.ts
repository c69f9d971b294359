const SPECIAL: Readonly<Record<string, string>> = {
  '\\': '\\(rs',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
  '"': '\\(dq',
};

/**
 * `text` as plain roff: special characters are escaped so that they print as themselves, others than ASCII are named by
 * their code point, and no line of it is taken for a request (groff_char(7), groff_man_style(7)).
 */
export function roffText(text: string): string {
  return text
    .replace(/[\\\-'`^~"]/g, (character) => SPECIAL[character] ?? character)
    .replace(
      /[^\x20-\x7e\n]/gu,
      (character) =>
        `\\[u${(character.codePointAt(0) ?? 0xfffd).toString(16).toUpperCase().padStart(4, '0')}]`,
    )
    .replace(/^(?=[.' ])/gm, '\\&')
    .replace(/\n{2,}/g, '\n.PP\n');
}

/** `text` in bold: what the user types as it stands. */
export function bold(text: string): string {
  return `\\fB${roffText(text)}\\fR`;
}

/** `text` in italics: what the user replaces. */
export function italic(text: string): string {
  return `\\fI${roffText(text)}\\fR`;
}

/** A paragraph with a hanging tag; both parts are roff already. */
export function tagged(tag: string, body: string): string {
  return `.TP\n${tag}\n${body === '' ? '\\&' : body}`;
}

/** A section: its heading in capitals, and parts that are roff already. */
export function section(heading: string, parts: readonly string[]): string {
  return [`.SH ${roffText(heading)}`, ...parts].join('\n');
}

/** Lines shown as they are, without filling: roff already. */
export function literal(lines: readonly string[]): string {
  return ['.PP', '.nf', '.RS 4', ...lines, '.RE', '.fi'].join('\n');
}

/** C0 and C1 controls, DEL, and the invisible characters that reorder or hide text. */
const UNSAFE = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}

/**
 * `text` fit for a terminal: control characters and characters that reorder text become visible escapes, so that what
 * an index says can neither move the cursor nor imitate our own output.
 */
export function printable(text: string): string {
  return text.replace(UNSAFE, escapeCharacter);
}

/** The same for text of several lines: line breaks stay, tabs become blanks. */
export function printableLines(text: string): string[] {
  return text.split('\n').map((line) => printable(line.replaceAll('\t', '    ')));
}

/** `value` as JSON that is fit for a terminal: the same characters are written as JSON's own escapes. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2).replace(
    /[^\P{Cc}\n]|[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Bytes that need not be text, such as a name in a filesystem, in printable ASCII: all others as `\xff`, a backslash doubled. */
export function printableBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(/\\/g, '\\\\')
    .replace(/[^ -~]/g, escapeCharacter);
}

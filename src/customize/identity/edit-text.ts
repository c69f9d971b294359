import type { FileAttributes, Guest } from '../../guest/guest.js';

const MAX_BYTES = 1024 * 1024;

/** What a file is to become: its present text, or undefined for none, to its new text, or undefined to leave it as it is. */
export type TextEdit = (text: string | undefined) => string | undefined;

/**
 * Edits a small configuration file. Every byte is one character, so that what is not understood is kept as it is,
 * whatever its encoding; what an edit adds must be ASCII. A new file is 0644 root:root.
 *
 * @returns whether it changed
 * @throws TSB_GUEST when it is no regular file or has more than 1 MiB
 */
export async function editText(
  guest: Guest,
  path: string,
  edit: { change: TextEdit; attributes?: FileAttributes | undefined },
): Promise<boolean> {
  const before = (await guest.exists(path))
    ? (await guest.readFile(path, { maxBytes: MAX_BYTES })).toString('latin1')
    : undefined;
  const after = edit.change(before);
  if (after === undefined || after === before) return false;
  await guest.writeFile(path, Buffer.from(after, 'latin1'), edit.attributes);
  return true;
}

/**
 * Sets `KEY=value` in the text of a file of shell assignments: the first line that assigns the key is replaced, later ones are
 * dropped, and where there is none the assignment goes to the end.
 *
 * @param assignment the whole line, quotes included: `ZONE="Europe/Paris"`
 */
export function setAssignment(text: string, assignment: string): string {
  const key = assignment.slice(0, assignment.indexOf('='));
  const isOld = (line: string): boolean => line.trimStart().startsWith(`${key}=`);
  const lines = text.split('\n');
  const first = lines.findIndex(isOld);
  if (first < 0) return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${assignment}\n`;
  return lines
    .map((line, index) => (index === first ? assignment : line))
    .filter((line, index) => index <= first || !isOld(line))
    .join('\n');
}

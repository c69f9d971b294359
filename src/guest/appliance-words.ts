import { TsbuilderError } from '../errors.js';

/** guestfish cuts longer lines and takes the rest for another command. */
const LONGEST_LINE = 8000;

const PLAIN = /[^A-Za-z0-9_./:,=+@%-]/g;

/**
 * One line for guestfish's standard input: a command and its arguments, byte strings. Each argument is in double quotes, and
 * what is not plain in it is written by number (guestfish(1), "escape sequences in double quoted arguments"), so no
 * argument can end early, begin another command or be expanded.
 *
 * @throws TSB_GUEST when an argument has a NUL byte or the line is too long for guestfish
 */
export function guestfishLine(command: string, words: readonly string[]): string {
  const line = [command, ...words.map(guestfishWord)].join(' ');
  if (line.length > LONGEST_LINE) {
    throw new TsbuilderError(
      'TSB_GUEST',
      `guestfish ${command}: ${line.length} bytes of arguments, and it takes ${LONGEST_LINE} at most`,
    );
  }
  return `${line}\n`;
}

function guestfishWord(word: string): string {
  if (word.includes('\0')) throw new TsbuilderError('TSB_GUEST', 'guestfish: an argument with a NUL byte');
  return `"${word.replace(PLAIN, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;
}

/** The room that words in a list have: names as they are, each up to four times as long in the line, and blanks. */
const LIST_ROOM = 6000;

/** Whether `name` means itself in one of guestfish's lists, which have a quoting of their own inside that of arguments. */
export function isListable(name: string): boolean {
  return /^[A-Za-z0-9_./:,=+@%-]+$/.test(name);
}

/** `names`, all {@link isListable}, as arguments that are lists, each short enough for a line. */
export function guestfishLists(names: readonly string[]): string[][] {
  const lists: string[][] = [];
  let room = 0;
  for (const name of names) {
    room -= name.length + 4;
    if (room < 0) {
      lists.push([]);
      room = LIST_ROOM - name.length - 4;
    }
    lists.at(-1)?.push(name);
  }
  return lists;
}

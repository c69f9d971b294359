import { TsbuilderError } from '../../errors.js';
import { printableBytes } from '../../io/printable.js';

/** debugfs reads a script by lines of at most 8191 bytes; what is longer would be taken for two commands. */
const MAX_LINE = 8190;

const LINE_END = /[\n\r\0]/;

/** Whether a path of this machine can stand in a line, with room for a name of the guest beside it. */
export function isExpressible(path: string): boolean {
  return !LINE_END.test(path) && path.length <= 4096 && quoteWord(path).length <= MAX_LINE / 2;
}

/**
 * One word of a debugfs command. debugfs (libss) knows one kind of quoting: double quotes around, each double quote
 * inside doubled; nothing else is special inside, not the backslash, not `<12>`.
 *
 * @throws TSB_GUEST when the word cannot be expressed: a script's lines end at a newline, a carriage return or a NUL
 */
export function quoteWord(bytes: string): string {
  if (LINE_END.test(bytes)) {
    const shown = printableBytes(Buffer.from(bytes, 'latin1'));
    throw inexpressible(`"${shown}": a name with a line break or NUL cannot be dealt with by debugfs`);
  }
  return `"${bytes.replaceAll('"', '""')}"`;
}

/** The word for an existing file by its inode number, whatever its name. */
export function inodeWord(ino: number): string {
  return `<${ino}>`;
}

/** The word for a name in the current folder: `./` keeps debugfs from taking `<12>` for an inode number. */
export function hereWord(name: string): string {
  return quoteWord(`./${name}`);
}

/**
 * One line of a script.
 *
 * @throws TSB_GUEST when it is longer than debugfs reads
 */
export function scriptLine(command: string, ...words: readonly (string | number)[]): string {
  const line = [command, ...words].join(' ');
  if (line.length > MAX_LINE) {
    throw inexpressible(
      `a name or link target is too long: the debugfs command has ${line.length} bytes, the limit is ${MAX_LINE}`,
    );
  }
  return line;
}

/** The caller can still do it another way: nothing has been written. */
function inexpressible(message: string): TsbuilderError {
  return new TsbuilderError('TSB_GUEST', message, { details: { reason: 'inexpressible' } });
}

import type { FileStat, FileType } from '../guest/guest.js';
import { type ListedFile, printableBytes } from '../serve/list-files.js';

const LETTERS: Readonly<Record<FileType, string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  character: 'c',
  block: 'b',
  fifo: 'p',
  socket: 's',
};

/** How lines are made. */
export interface ListingStyle {
  readonly long: boolean;
  /** Whole paths instead of names. */
  readonly paths: boolean;
  /** For a terminal: nothing in a name can move its cursor. Otherwise names are the bytes they are. */
  readonly terminal: boolean;
}

/** A listing line with its line break, as bytes; the long form like that of `ls -ln`, times in UTC. */
export function formatListing(file: ListedFile, style: ListingStyle): Buffer {
  const show = style.terminal
    ? (raw: string) => Buffer.from(printableBytes(raw))
    : (raw: string) => Buffer.from(raw, 'latin1');
  const name = show(style.paths ? file.rawPath : file.rawName);
  const { stat, rawTarget } = file;
  const parts = style.long && stat ? [Buffer.from(`${formatStat(stat)} `), name] : [name];
  if (style.long && rawTarget !== undefined) parts.push(Buffer.from(' -> '), show(rawTarget));
  return Buffer.concat([...parts, Buffer.from('\n')]);
}

/** The same as data. A name that is no UTF-8 is told as it would be printed, and says so. */
export function listingObject(file: ListedFile): Record<string, unknown> {
  const { stat, rawPath, rawTarget } = file;
  const bytes = Buffer.from(rawPath, 'latin1');
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(bytes);
  return {
    path: isText ? text : printableBytes(rawPath),
    ...(isText ? {} : { pathBytes: bytes.toString('base64') }),
    ...(stat && {
      type: stat.type,
      mode: stat.mode.toString(8).padStart(4, '0'),
      uid: stat.uid,
      gid: stat.gid,
      size: stat.size,
      mtime: formatTime(stat.mtime) ?? null,
      links: stat.links,
    }),
    ...(rawTarget !== undefined && { target: Buffer.from(rawTarget, 'latin1').toString('utf8') }),
  };
}

function formatStat(stat: FileStat): string {
  const time = formatTime(stat.mtime)?.slice(0, 16).replace('T', ' ') ?? '?';
  return [
    `${LETTERS[stat.type]}${formatMode(stat.mode)}`,
    String(stat.links).padStart(3),
    String(stat.uid).padStart(5),
    String(stat.gid).padStart(5),
    String(stat.size).padStart(11),
    time.padStart(16),
  ].join(' ');
}

/** `rwxr-sr-t` as ls(1) writes it. */
function formatMode(mode: number): string {
  const bits = Array.from('rwxrwxrwx', (letter, index) => (mode & (0o400 >> index) ? letter : '-'));
  const special = [
    { bit: 0o4000, at: 2, letter: 's' },
    { bit: 0o2000, at: 5, letter: 's' },
    { bit: 0o1000, at: 8, letter: 't' },
  ];
  for (const { bit, at, letter } of special) {
    if (mode & bit) bits[at] = bits[at] === 'x' ? letter : letter.toUpperCase();
  }
  return bits.join('');
}

/** ISO 8601 in UTC; undefined for a time that no calendar has. */
function formatTime(seconds: number): string | undefined {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** A file's content as data: text, or base64 where it is no UTF-8. */
export function contentObject(path: string, content: Buffer): Record<string, unknown> {
  const text = content.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(content);
  return { path, size: content.length, ...(isText ? { text } : { base64: content.toString('base64') }) };
}

/** One id of a disk and what takes its place. */
export interface IdChange {
  /** What has the id, for messages: `the filesystem on partition 2`. */
  readonly what: string;
  /** `uuid`: 32 hex digits in five groups. `serial`: a FAT's `XXXX-XXXX`. `signature`: the 8 hex digits of an MBR. */
  readonly form: 'uuid' | 'serial' | 'signature';
  readonly from: string;
  readonly to: string;
}

/** A place in bytes where an old id stands. */
export interface IdHit {
  readonly offset: number;
  /** As it is written there. */
  readonly text: string;
  readonly change: IdChange;
}

/** Finds and replaces the ids of a disk in bytes. */
export interface IdText {
  find(data: Uint8Array): IdHit[];
  /** The bytes with each old id replaced, as long as before: case and separators of every place are kept. */
  replace(data: Uint8Array): Buffer;
}

/** No id is written with more characters: 32 digits and four escaped separators, with what may stand around it. */
export const LONGEST_ID = 64;

/** Units of systemd and files of dracut write a dash as `\x2d` where it would be taken for a slash. */
const DASH = String.raw`(?:-|\\x2d)`;
const DIGIT = '[0-9a-f]';
/** No digit or letter in front, unless it ends an escaped dash or slash. */
const BEGIN = String.raw`(?:(?<![0-9a-z])|(?<=\\x2[df]))`;
const END = '(?![0-9a-z])';

/**
 * Looks for the old ids of `changes`: UUIDs with and without their dashes, FAT serial numbers that are no part of a UUID, and MBR
 * signatures where they name a partition (`1234abcd-01`) or stand as `0x1234abcd`. Upper and lower case are the same.
 */
export function idText(changes: readonly IdChange[]): IdText {
  const byDigits = new Map(changes.map((change) => [digitsOf(change.from), change]));
  // Nearly all bytes have not even the first group of an id: to find that out is ten times as fast.
  const mayHave = new RegExp(changes.map(({ from }) => from.replace(/-.*/, '')).join('|'), 'i');
  const pattern = new RegExp(changes.map(patternOf).join('|'), 'gi');
  const find = (data: Uint8Array): IdHit[] => {
    if (changes.length === 0) return [];
    const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1');
    if (!mayHave.test(text)) return [];
    return [...text.matchAll(pattern)].flatMap((match) => {
      const change = byDigits.get(digitsOf(match[0]));
      return change ? [{ offset: match.index, text: match[0], change }] : [];
    });
  };
  const replace = (data: Uint8Array): Buffer => {
    const result = Buffer.from(data);
    for (const { offset, text, change } of find(data)) result.write(inFormOf(text, change), offset, 'latin1');
    return result;
  };
  return { find, replace };
}

function digitsOf(text: string): string {
  return text.replaceAll(/\\x2d|-/gi, '').toLowerCase();
}

function patternOf({ form, from }: IdChange): string {
  const groups = from.split('-');
  if (form === 'uuid') return `${groups.join(DASH)}|${BEGIN}${groups.join('')}${END}`;
  if (form === 'serial') return `${BEGIN}(?<!${DIGIT}{4}-)${groups.join(DASH)}${END}(?!-${DIGIT}{4})`;
  return `${BEGIN}${from}(?=${DASH}${DIGIT}{2}${END})|(?<=0x)${from}${END}`;
}

/** The new id with the separators and the case that the old one has in a place. */
function inFormOf(text: string, { to }: IdChange): string {
  const plain = text.replaceAll(/\\x2d/gi, '');
  const upper = /[A-F]/.test(plain) && !/[a-f]/.test(plain);
  const lower = /[a-f]/.test(plain) && !/[A-F]/.test(plain);
  const raw = to.replaceAll('-', '');
  const cased = upper ? raw.toUpperCase() : lower ? raw.toLowerCase() : raw;
  let at = 0;
  return text.replaceAll(/\\x2d|[0-9a-f]/gi, (part) => (part.length > 1 ? part : cased.charAt(at++)));
}

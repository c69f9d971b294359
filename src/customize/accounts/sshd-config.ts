import { posix } from 'node:path';
import type { GuestFiles } from '../../guest/guest.js';
import { isMissing } from '../../guest/read-files.js';
import { expandGlob } from '../files/glob.js';

/** Where sshd's settings are; openSUSE has its own in /usr, and those in /etc in their place. */
const FILES = ['/etc/ssh/sshd_config', '/usr/etc/ssh/sshd_config'];
/** What `Include` without a leading slash begins with. */
const FOLDER = '/etc/ssh';
const MAX_BYTES = 1024 * 1024;
/** sshd(8) gives up after as many inclusions in each other (servconf.c). */
const MAX_DEPTH = 16;
const MAX_FILES = 1000;

/** The reading of one configuration. */
interface Reading {
  readonly files: GuestFiles;
  /** In lower case. */
  readonly keyword: string;
  left: number;
}

/**
 * The arguments of a keyword in the guest's sshd_config(5), outside of `Match` blocks: of several lines the first counts, and
 * `Include` puts files where it stands.
 *
 * @returns undefined when there is no such line or no such file
 * @throws TSB_GUEST, TSB_USAGE for files that cannot be read and patterns that make no sense
 */
export async function readSshdSetting(files: GuestFiles, keyword: string): Promise<string[] | undefined> {
  const reading = { files, keyword: keyword.toLowerCase(), left: MAX_FILES };
  for (const path of FILES) if (await files.exists(path)) return settingIn(reading, path, 0);
  return undefined;
}

async function settingIn(reading: Reading, path: string, depth: number): Promise<string[] | undefined> {
  if (depth > MAX_DEPTH || reading.left-- <= 0) return undefined;
  for (const line of (await readText(reading.files, path)).split('\n')) {
    const [word, ...values] = sshdWords(line);
    const keyword = word?.toLowerCase();
    if (keyword === 'match') return undefined;
    if (keyword === reading.keyword) return values;
    const found = keyword === 'include' ? await included(reading, values, depth + 1) : undefined;
    if (found) return found;
  }
  return undefined;
}

/** A `Match` block in an included file ends with that file. */
async function included(
  reading: Reading,
  patterns: readonly string[],
  depth: number,
): Promise<string[] | undefined> {
  for (const pattern of patterns) {
    if (reading.left-- <= 0) return undefined;
    const paths = await expandGlob(reading.files, posix.resolve(FOLDER, pattern));
    for (const path of paths.sort()) {
      const found = await settingIn(reading, path, depth);
      if (found) return found;
    }
  }
  return undefined;
}

async function readText(files: GuestFiles, path: string): Promise<string> {
  try {
    if ((await files.stat(path)).type !== 'file') return '';
    return (await files.readFile(path, { maxBytes: MAX_BYTES })).toString('latin1');
  } catch (error) {
    // A link that leads nowhere.
    if (isMissing(error)) return '';
    throw error;
  }
}

/** Keyword and arguments of a line: quotes hold blanks together, `=` may follow the keyword, `#` begins a comment. */
function sshdWords(line: string): string[] {
  const [, keyword = '', rest = ''] = /^\s*([^\s="#]+)\s*=?(.*)$/s.exec(line.trimEnd()) ?? [];
  if (keyword === '') return [];
  const words: string[] = [];
  for (const [, quoted, plain] of rest.matchAll(/"([^"]*)"?|([^\s"]+)/g)) {
    if (plain?.startsWith('#')) break;
    words.push(quoted ?? plain ?? '');
  }
  return [keyword, ...words];
}

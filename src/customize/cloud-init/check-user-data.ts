import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { TsbuilderError, messageOf } from '../../errors.js';
import { assertYaml } from './check-yaml.js';

/** Far more than any datasource of a cloud takes (16 KiB on most), and little enough to be held in memory. */
export const MAX_USER_DATA = 16 * 1024 * 1024;

/** First lines that say what user data is (cloud-init's documentation, "User-data formats"). */
const HEADERS = [
  '#!',
  '#cloud-boothook',
  '#include',
  '#part-handler',
  '#upstart-job',
  '#cloud-config-jsonp',
  '## template:',
  'content-type:',
  'mime-version:',
];

/**
 * Checks what cloud-init would otherwise only log inside the guest: that user data begins with a word that cloud-init
 * knows, and that its own format is the YAML it must be. Compressed data is looked into.
 *
 * @param name the file, for messages
 * @throws TSB_RECIPE_INVALID
 */
export async function assertUserData(name: string, data: Uint8Array): Promise<void> {
  const text = Buffer.from(await unpacked(name, data)).toString('utf8');
  if (text.startsWith('\ufeff')) throw byteOrderMark(name);
  // cloud-init skips blanks before the word, and takes capitals for small letters.
  const start = text.trimStart().toLowerCase();
  if (start === '' || HEADERS.some((header) => start.startsWith(header))) return;
  if (start.startsWith('#cloud-config-archive')) await assertYaml(name, text, 'list');
  else if (start.startsWith('#cloud-config')) await assertYaml(name, text, 'map');
  else throw unknownHeader(name);
}

async function unpacked(name: string, data: Uint8Array): Promise<Uint8Array> {
  if (data[0] !== 0x1f || data[1] !== 0x8b) return data;
  try {
    return await promisify(gunzip)(data, { maxOutputLength: MAX_USER_DATA });
  } catch (error) {
    throw new TsbuilderError('TSB_RECIPE_INVALID', `${name}: cannot be unpacked: ${messageOf(error)}`, {
      hint: `User data may have at most ${MAX_USER_DATA} bytes when unpacked.`,
      cause: error,
    });
  }
}

/** An editor shows none, and to cloud-init it is a character before the word. */
function byteOrderMark(name: string): TsbuilderError {
  return new TsbuilderError(
    'TSB_RECIPE_INVALID',
    `${name}: begins with a byte order mark, so cloud-init would not know what it is`,
    { hint: 'Save it as UTF-8 without BOM.' },
  );
}

/** Without the line itself: a file named by mistake may hold a password. */
function unknownHeader(name: string): TsbuilderError {
  return new TsbuilderError(
    'TSB_RECIPE_INVALID',
    `${name}: line 1 is nothing that user data for cloud-init can begin with`,
    { hint: 'The first line must be #cloud-config, or #! and an interpreter.' },
  );
}

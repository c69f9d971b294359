import { readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { accountBytes } from './guest-accounts.js';
import { readSmallHostFile } from './host-file.js';
import { type PublicKey, parsePublicKeys } from './public-key.js';

/** Which public keys: the newest of the user who runs this, those of a file, or those written out. Plain data. */
export type KeySelector =
  | { readonly from: 'newest' }
  | { readonly from: 'file'; readonly file: string }
  | { readonly from: 'string'; readonly string: string };

const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Reads virt-builder's selectors of SSH keys: nothing, `file:FILE` or `string:KEY`.
 *
 * @throws TSB_USAGE
 */
export function parseKeySelector(text: string): KeySelector {
  if (text === '') return { from: 'newest' };
  if (/^file:./s.test(text)) return { from: 'file', file: text.slice('file:'.length) };
  if (/^string:./s.test(text)) return { from: 'string', string: text.slice('string:'.length) };
  throw new TsbuilderError('TSB_USAGE', 'that is no selector of SSH keys', {
    hint: 'Write file:FILE or string:KEY, or nothing for the newest ~/.ssh/id*.pub.',
  });
}

/** What a selector picks, in a few words. */
export function describeKeys(selector: KeySelector): string {
  if (selector.from === 'newest') return 'the newest ~/.ssh/id*.pub';
  return selector.from === 'file' ? selector.file : 'the key as given';
}

/**
 * The keys that a selector picks.
 *
 * @param options `home`, the folder that has `.ssh`, is the user's own by default
 * @throws TSB_NOT_FOUND when there is no file, TSB_USAGE when it holds no public key
 */
export async function readKeys(
  selector: KeySelector,
  options: { readonly home?: string; readonly signal?: AbortSignal | undefined } = {},
): Promise<PublicKey[]> {
  const { home = homedir(), signal } = options;
  if (selector.from === 'string') return parsePublicKeys(accountBytes(selector.string), 'the SSH key');
  const file = selector.from === 'file' ? selector.file : await newestKey(join(home, '.ssh'));
  const content = await readSmallHostFile(file, MAX_FILE_BYTES, signal);
  return parsePublicKeys(content.toString('latin1'), file);
}

/** As ssh-copy-id chooses: the public key changed last. */
async function newestKey(folder: string): Promise<string> {
  const names = await readdir(folder).catch(() => []);
  const found: { path: string; time: number }[] = [];
  for (const name of names) {
    if (!/^id.*\.pub$/.test(name) || name.endsWith('-cert.pub')) continue;
    const path = join(folder, name);
    const info = await stat(path).catch(() => undefined);
    if (info?.isFile()) found.push({ path, time: info.mtimeMs });
  }
  const [newest] = found.sort((one, other) => other.time - one.time || (one.path < other.path ? -1 : 1));
  if (newest) return newest.path;
  throw new TsbuilderError('TSB_NOT_FOUND', `${folder} has no id*.pub`, {
    hint: 'Make a key with ssh-keygen, or name one: USER:file:FILE.',
    details: { folder },
  });
}

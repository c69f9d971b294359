import { posix } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { authorizedKeysFile } from './authorized-keys-file.js';
import type { PasswdEntry } from './passwd.js';
import { type PublicKey, keyIdentity } from './public-key.js';

const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Lets whoever has `keys` log in as `user`: adds those that are not there yet to the user's authorized_keys. Files and folders made
 * for it are the user's alone; those that exist keep mode and owner.
 *
 * @throws TSB_GUEST when the user's home folder does not exist or something is in the way
 */
export async function installKeys(
  guest: Guest,
  user: PasswdEntry,
  keys: readonly PublicKey[],
): Promise<void> {
  const { name, home, uid, gid } = user;
  if (!home.startsWith('/') || !(await guest.exists(home))) {
    throw new TsbuilderError(
      'TSB_GUEST',
      `the home folder of ${name}, ${JSON.stringify(home)}, is not in ${guest.name}`,
      {
        hint: `Make it first: --mkdir, then --chown ${uid}:${gid}.`,
        details: { user: name, path: home, reason: 'not-found' },
      },
    );
  }
  const file = authorizedKeysFile(user);
  const folder = posix.dirname(file);
  if (!(await guest.exists(folder))) await guest.mkdir(folder, { mode: 0o700, uid, gid });
  const exists = await guest.exists(file);
  const old = exists ? (await guest.readFile(file, { maxBytes: MAX_BYTES })).toString('latin1') : '';
  const text = mergeKeys(old, keys);
  if (exists && text === old) return;
  await guest.writeFile(file, Buffer.from(text, 'latin1'), exists ? {} : { mode: 0o600, uid, gid });
}

/** The text of an authorized_keys file with the keys it lacks behind what it has, each in a line that is ended. */
export function mergeKeys(text: string, keys: readonly PublicKey[]): string {
  const known = new Set(text.split('\n').map((line) => keyIdentity(line.trim())));
  const added: string[] = [];
  for (const { line, identity } of keys) {
    if (!known.has(identity)) added.push(`${line}\n`);
    known.add(identity);
  }
  if (added.length === 0) return text;
  return (text === '' || text.endsWith('\n') ? text : `${text}\n`) + added.join('');
}

import { TsbuilderError } from '../../errors.js';
import type { Guest, GuestFiles } from '../../guest/guest.js';
import { findUser, type PasswdEntry } from './passwd.js';

const MAX_BYTES = 16 * 1024 * 1024;

/** A file of accounts as a byte string (latin1), or undefined where the guest has none. */
export async function readAccounts(files: GuestFiles, path: string): Promise<string | undefined> {
  if (!(await files.exists(path))) return undefined;
  return (await files.readFile(path, { maxBytes: MAX_BYTES })).toString('latin1');
}

/** Writes a file of accounts; mode, owner and label stay. */
export async function writeAccounts(guest: Guest, path: string, text: string): Promise<void> {
  await guest.writeFile(path, Buffer.from(text, 'latin1'));
}

/**
 * The guest's /etc/passwd.
 *
 * @throws TSB_GUEST when there is none
 */
export async function readPasswd(files: GuestFiles): Promise<string> {
  const text = await readAccounts(files, '/etc/passwd');
  if (text !== undefined) return text;
  throw new TsbuilderError('TSB_GUEST', `${files.name} has no /etc/passwd: there are no users to work with`, {
    details: { path: '/etc/passwd', reason: 'not-found' },
  });
}

/**
 * The user `name` of the guest; its home and shell are byte strings made text.
 *
 * @throws TSB_GUEST when there is no such user
 */
export async function requireUser(files: GuestFiles, name: string): Promise<PasswdEntry> {
  const user = findUser(await readPasswd(files), accountBytes(name));
  if (user) return { ...user, name, home: Buffer.from(user.home, 'latin1').toString('utf8') };
  throw new TsbuilderError('TSB_GUEST', `${files.name} has no user ${JSON.stringify(name)}`, {
    hint: `--user ${name} makes one.`,
    details: { user: name, reason: 'no-user' },
  });
}

/** Text as the byte string that account files are read as. */
export function accountBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

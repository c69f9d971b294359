import type { GuestFiles } from '../guest/guest.js';
import { isMissing } from '../guest/read-files.js';

/** Whether root can log in with a password: `open` is a login without one. */
export type RootLogin = 'password' | 'locked' | 'open';

const MAX_BYTES = 1024 * 1024;

/** What the guest's shadow(5) says about root; undefined where it has none or it does not name root. */
export async function rootLogin(files: GuestFiles): Promise<RootLogin | undefined> {
  const text = await readShadow(files);
  const line = text?.split('\n').find((each) => each.startsWith('root:'));
  const hash = line?.split(':')[1];
  if (hash === undefined) return undefined;
  if (hash === '') return 'open';
  // What is no output of crypt(3) matches no password.
  return /^[!*]/.test(hash) || hash.length < 13 ? 'locked' : 'password';
}

async function readShadow(files: GuestFiles): Promise<string | undefined> {
  try {
    return (await files.readFile('/etc/shadow', { maxBytes: MAX_BYTES })).toString('latin1');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

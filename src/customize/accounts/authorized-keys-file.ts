import { posix } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import type { GuestFiles } from '../../guest/guest.js';
import type { PasswdEntry } from './passwd.js';
import { readSshdSetting } from './sshd-config.js';

const KEYWORD = 'AuthorizedKeysFile';

/** The file of `user` that keys are put into: what sshd reads unless its settings say otherwise. */
export function authorizedKeysFile({ home }: Pick<PasswdEntry, 'home'>): string {
  return posix.join(home, '.ssh/authorized_keys');
}

/** Warns when the guest's sshd takes the keys of `user` from other files than the usual one. */
export async function warnOfOtherKeysFile(
  files: GuestFiles,
  user: Pick<PasswdEntry, 'name' | 'uid' | 'home'>,
  warn: (message: string) => void,
): Promise<void> {
  const read = await settingIfReadable(files);
  if (!read || read.some((pattern) => expanded(pattern, user) === authorizedKeysFile(user))) return;
  const places = read.filter((each) => each.toLowerCase() !== 'none').join(' ');
  warn(
    `sshd in ${files.name} does not read ${authorizedKeysFile(user)}, but ${places === '' ? 'no file' : places} ` +
      `(${KEYWORD} in its settings): the key may not let ${user.name} log in`,
  );
}

/** Settings that cannot be read are no reason to stop: they are only looked at for a warning. */
async function settingIfReadable(files: GuestFiles): Promise<string[] | undefined> {
  try {
    return await readSshdSetting(files, KEYWORD);
  } catch (error) {
    if (error instanceof TsbuilderError && ['TSB_GUEST', 'TSB_USAGE'].includes(error.code)) return undefined;
    throw error;
  }
}

/** sshd_config(5), TOKENS; what is no absolute path is below the home folder. */
function expanded(pattern: string, { name, uid, home }: Pick<PasswdEntry, 'name' | 'uid' | 'home'>): string {
  const tokens: Readonly<Record<string, string>> = { h: home, u: name, U: String(uid), '%': '%' };
  return posix.resolve(
    home,
    pattern.replace(/%(.)/g, (all, letter: string) => tokens[letter] ?? all),
  );
}

import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { readAccounts } from './guest-accounts.js';

const SUDOERS = '/etc/sudoers';
const FOLDER = '/etc/sudoers.d';

/**
 * The group whose members may use sudo: `sudo`, else `wheel`. Warns when the guest's sudoers says nothing of it.
 *
 * @param groups names of the groups there are
 * @throws TSB_GUEST when there is neither
 */
export async function sudoGroup(
  guest: Guest,
  groups: readonly string[],
  warn: (message: string) => void,
): Promise<string> {
  const group = ['sudo', 'wheel'].find((name) => groups.includes(name));
  if (group === undefined) {
    throw new TsbuilderError('TSB_GUEST', `${guest.name} has neither a group sudo nor a group wheel`, {
      hint: 'Install sudo first: --install sudo. Or use sudo-nopasswd, which needs no group.',
      details: { reason: 'not-found' },
    });
  }
  const sudoers = await readAccounts(guest, SUDOERS);
  if (sudoers === undefined) warn(`${guest.name} has no ${SUDOERS}: sudo is not installed`);
  else if (!new RegExp(`^[ \\t]*%${group}[ \\t]`, 'm').test(sudoers))
    warn(`${SUDOERS} has no rule for the group ${group}: its members may not be allowed to use sudo`);
  return group;
}

/** Lets `user` do everything with sudo, without a password, by a file of its own in /etc/sudoers.d. */
export async function writeSudoRule(
  guest: Guest,
  user: string,
  warn: (message: string) => void,
): Promise<void> {
  const sudoers = await readAccounts(guest, SUDOERS);
  if (sudoers === undefined) warn(`${guest.name} has no ${SUDOERS}: sudo is not installed`);
  else if (!/^[ \t]*[#@]includedir[ \t]+"?\/etc\/sudoers\.d\/?"?[ \t]*$/m.test(sudoers))
    warn(`${SUDOERS} does not include ${FOLDER}: the rule for ${user} has no effect`);
  if (!(await guest.exists(FOLDER))) await guest.mkdir(FOLDER, { mode: 0o750 });
  // sudo passes over files with a dot in their names. No user's name has a plus, so two of them never share a file.
  const path = `${FOLDER}/${user.replaceAll('.', '+')}`;
  await guest.writeFile(path, `${user} ALL=(ALL:ALL) NOPASSWD: ALL\n`, { mode: 0o440, uid: 0, gid: 0 });
}

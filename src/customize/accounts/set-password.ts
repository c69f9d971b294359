import type { Guest } from '../../guest/guest.js';
import type { CustomizeContext } from '../operation-kind.js';
import { accountBytes, readAccounts, readPasswd, requireUser, writeAccounts } from './guest-accounts.js';
import { setPasswdPassword } from './passwd.js';
import { passwordField } from './password-field.js';
import type { PasswordSelector } from './password-selector.js';
import { setShadowPassword } from './shadow.js';

const PASSWD = '/etc/passwd';
const SHADOW = '/etc/shadow';
const IN_SHADOW = 'x';

/**
 * Sets the password of a user of the guest: in /etc/shadow where the guest has one, with a line made for a user who lacks it and
 * with /etc/passwd pointing there, else in /etc/passwd.
 *
 * @throws TSB_GUEST when there is no such user, and as `passwordField`
 */
export async function setPassword(
  guest: Guest,
  request: { readonly user: string; readonly selector: PasswordSelector },
  context: CustomizeContext,
): Promise<void> {
  const { user, selector } = request;
  const entry = await requireUser(guest, user);
  const shadow = await readAccounts(guest, SHADOW);
  const password = await passwordField(user, selector, { os: guest.os, context });
  const name = accountBytes(user);
  const passwd = await readPasswd(guest);
  if (shadow === undefined) {
    if (selector.from !== 'disabled')
      context.warn(`${guest.name} has no ${SHADOW}: every user there can read the hash in ${PASSWD}`);
    await writeAccounts(guest, PASSWD, setPasswdPassword(passwd, name, password));
    return;
  }
  await writeAccounts(guest, SHADOW, setShadowPassword(shadow, name, { password, changed: context.now }));
  // Anything but x would be taken for the hash, and an empty field for "no password needed".
  if (entry.password !== IN_SHADOW)
    await writeAccounts(guest, PASSWD, setPasswdPassword(passwd, name, IN_SHADOW));
}

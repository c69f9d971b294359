import type { Guest } from '../../guest/guest.js';
import type { CustomizeContext } from '../operation-kind.js';
import { warnOfOtherKeysFile } from './authorized-keys-file.js';
import { parseGroup } from './group.js';
import { readAccounts, readPasswd, writeAccounts } from './guest-accounts.js';
import { makeHome } from './home-folder.js';
import { installKeys } from './install-keys.js';
import { readKeys } from './key-selector.js';
import { type LoginDefs, parseLoginDefs } from './login-defs.js';
import { type AccountTexts, planUser } from './plan-user.js';
import { setPassword } from './set-password.js';
import { sudoGroup, writeSudoRule } from './sudo.js';
import type { UserSpec } from './user-spec.js';

/** No hash matches either; but sshd without PAM takes an account with a `!` for locked, and refuses its keys too. */
const NO_PASSWORD = { withKeys: '*', withoutKeys: '!' };

/**
 * Makes a user in the guest as useradd(8) does, with all that `spec` asks for.
 *
 * @throws TSB_GUEST when the user exists or a group does not, and as `passwordField` and `readKeys`
 */
export async function createUser(guest: Guest, spec: UserSpec, context: CustomizeContext): Promise<void> {
  const warn = (message: string): void => context.warn(message);
  const { name } = spec;
  const keys = (await Promise.all(spec.keys.map((selector) => readKeys(selector, context)))).flat();
  const texts = await readTexts(guest);
  const defs = parseLoginDefs((await readAccounts(guest, '/etc/login.defs')) ?? '');
  const names = parseGroup(texts['/etc/group']).map((group) => group.name);
  const more = spec.sudo === 'group' ? [await sudoGroup(guest, names, warn)] : [];
  const home = spec.home ?? `/home/${name}`;
  const shell = spec.shell ?? (await defaultShell(guest));
  const plan = planUser(
    texts,
    {
      name,
      uid: spec.uid,
      comment: spec.comment ?? '',
      home,
      shell,
      groups: [...new Set([...spec.groups, ...more])],
      password: NO_PASSWORD[keys.length > 0 ? 'withKeys' : 'withoutKeys'],
      now: context.now,
    },
    defs,
  );
  await writeTexts(guest, texts, plan.texts);
  const owner = { ...plan.entry, home };
  await prepareHome(guest, { ...owner, defs, warn });
  if (!(await guest.exists(shell))) warn(`the shell of ${name}, ${shell}, is not in ${guest.name}`);
  if (spec.sudo === 'nopasswd') await writeSudoRule(guest, name, warn);
  if (keys.length > 0) {
    await installKeys(guest, owner, keys);
    await warnOfOtherKeysFile(guest, owner, warn);
  }
  if (spec.password) await setPassword(guest, { user: name, selector: spec.password }, context);
}

async function prepareHome(
  guest: Guest,
  user: { home: string; uid: number; gid: number; defs: LoginDefs; warn: (message: string) => void },
): Promise<void> {
  const { home, uid, gid, defs, warn } = user;
  if (await makeHome(guest, { path: home, mode: defs.homeMode, uid, gid })) return;
  warn(`${home} exists already in ${guest.name}: it stays as it is, with its owner`);
}

async function readTexts(guest: Guest): Promise<AccountTexts> {
  return {
    '/etc/passwd': await readPasswd(guest),
    '/etc/group': (await readAccounts(guest, '/etc/group')) ?? '',
    '/etc/shadow': await readAccounts(guest, '/etc/shadow'),
    '/etc/gshadow': await readAccounts(guest, '/etc/gshadow'),
    '/etc/subuid': await readAccounts(guest, '/etc/subuid'),
    '/etc/subgid': await readAccounts(guest, '/etc/subgid'),
  };
}

async function writeTexts(guest: Guest, old: AccountTexts, texts: AccountTexts): Promise<void> {
  const before = new Map(Object.entries(old));
  for (const [path, text] of Object.entries(texts) as [string, string | undefined][])
    if (text !== undefined && text !== before.get(path)) await writeAccounts(guest, path, text);
}

/** useradd's default is often /bin/sh, which nobody wants to type in where there is bash. */
async function defaultShell(guest: Guest): Promise<string> {
  return (await guest.exists('/bin/bash')) ? '/bin/bash' : '/bin/sh';
}

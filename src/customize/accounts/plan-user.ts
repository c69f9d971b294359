import { addShadow } from './shadow.js';
import { TsbuilderError } from '../../errors.js';
import { accountBytes } from './guest-accounts.js';
import { addGroup, addGshadow, addMember, parseGroup } from './group.js';
import type { LoginDefs } from './login-defs.js';
import { type PasswdEntry, addUser, parsePasswd } from './passwd.js';
import { addSubid } from './subid.js';

/** The texts of a guest's account files by path; undefined where the guest does not have one. */
export interface AccountTexts {
  readonly '/etc/passwd': string;
  readonly '/etc/group': string;
  readonly '/etc/shadow': string | undefined;
  readonly '/etc/gshadow': string | undefined;
  readonly '/etc/subuid': string | undefined;
  readonly '/etc/subgid': string | undefined;
}

/** What is to become of it. */
export interface NewUser {
  readonly name: string;
  readonly uid?: number | undefined;
  readonly comment: string;
  readonly home: string;
  readonly shell: string;
  /** Supplementary groups. */
  readonly groups: readonly string[];
  /** The password field. */
  readonly password: string;
  /** Seconds since 1970. */
  readonly now: number;
}

/** A user made: the new texts and its line of passwd(5). */
export interface UserPlan {
  readonly texts: AccountTexts;
  readonly entry: PasswdEntry;
}

/**
 * Adds a user with a group of the same name and, where it is free, the same number; its ids are the first free ones from UID_MIN
 * and GID_MIN on. A user or group in the way, a uid in use and a missing group are errors.
 *
 * @throws TSB_GUEST
 */
export function planUser(texts: AccountTexts, user: NewUser, defs: LoginDefs): UserPlan {
  const { name } = user;
  const users = parsePasswd(texts['/etc/passwd']);
  const groups = parseGroup(texts['/etc/group']);
  if (users.some((each) => each.name === name)) throw inTheWay('user', name);
  if (groups.some((each) => each.name === name)) throw inTheWay('group', name);
  for (const group of user.groups)
    if (!groups.some((each) => each.name === group)) throw noGroup(name, group);
  const gids = new Set(groups.map(({ gid }) => gid));
  const uid = pickUid(user, new Set(users.map((each) => each.uid)), { defs, gids });
  const gid = gids.has(uid) ? firstFree(defs.gidMin, defs.gidMax, (id) => gids.has(id)) : uid;
  const hasShadow = texts['/etc/shadow'] !== undefined;
  const entry: PasswdEntry = {
    name,
    password: hasShadow ? 'x' : user.password,
    uid,
    gid,
    comment: accountBytes(user.comment),
    home: accountBytes(user.home),
    shell: accountBytes(user.shell),
  };
  return { texts: withUser(texts, entry, { user, defs }), entry };
}

function withUser(
  texts: AccountTexts,
  entry: PasswdEntry,
  { user, defs }: { readonly user: NewUser; readonly defs: LoginDefs },
): AccountTexts {
  const { name } = user;
  const join = (text: string): string =>
    user.groups.reduce((result, group) => addMember(result, group, name), text);
  const edit = (text: string | undefined, change: (text: string) => string): string | undefined =>
    text === undefined ? undefined : change(text);
  const shadow = {
    name,
    password: user.password,
    changed: user.now,
    minDays: defs.passMinDays,
    maxDays: defs.passMaxDays,
    warnDays: defs.passWarnAge,
  };
  const subUids = { min: defs.subUidMin, max: defs.subUidMax, count: defs.subUidCount };
  const subGids = { min: defs.subGidMin, max: defs.subGidMax, count: defs.subGidCount };
  return {
    '/etc/passwd': addUser(texts['/etc/passwd'], entry),
    '/etc/group': join(addGroup(texts['/etc/group'], name, entry.gid)),
    '/etc/shadow': edit(texts['/etc/shadow'], (text) => addShadow(text, shadow)),
    '/etc/gshadow': edit(texts['/etc/gshadow'], (text) => join(addGshadow(text, name))),
    '/etc/subuid': edit(texts['/etc/subuid'], (text) => addSubid(text, name, subUids)),
    '/etc/subgid': edit(texts['/etc/subgid'], (text) => addSubid(text, name, subGids)),
  };
}

function pickUid(
  user: NewUser,
  uids: ReadonlySet<number>,
  { defs, gids }: { readonly defs: LoginDefs; readonly gids: ReadonlySet<number> },
): number {
  if (user.uid === undefined)
    return firstFree(defs.uidMin, defs.uidMax, (id) => uids.has(id) || gids.has(id));
  if (!uids.has(user.uid)) return user.uid;
  throw new TsbuilderError('TSB_GUEST', `the uid ${user.uid} asked for ${user.name} is in use`, {
    hint: 'Choose another one, or leave it to tsbuilder.',
    details: { user: user.name, uid: user.uid },
  });
}

function firstFree(min: number, max: number, used: (id: number) => boolean): number {
  for (let id = min; id <= max; id += 1) if (!used(id)) return id;
  throw new TsbuilderError('TSB_GUEST', `all ids from ${min} to ${max} are in use`, {
    hint: "The limits are in the guest's /etc/login.defs.",
    details: { min, max },
  });
}

function inTheWay(what: 'user' | 'group', name: string): TsbuilderError {
  const hint =
    what === 'user'
      ? `--password, --ssh-inject and --run-command 'usermod ...' change a user that exists.`
      : 'Choose another name: a new user gets a group of the same name.';
  return new TsbuilderError('TSB_GUEST', `there is a ${what} ${name} already`, {
    hint,
    details: { user: name, reason: 'exists' },
  });
}

function noGroup(user: string, group: string): TsbuilderError {
  return new TsbuilderError('TSB_GUEST', `there is no group ${group} that ${user} could be a member of`, {
    hint: 'Packages make their groups when they are installed: put --install before --user.',
    details: { user, group, reason: 'not-found' },
  });
}

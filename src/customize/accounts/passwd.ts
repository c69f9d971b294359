import { addFields, allFields, changeFields } from './account-file.js';

/** One line of passwd(5). */
export interface PasswdEntry {
  readonly name: string;
  /** `x` where the hash is in the shadow file. */
  readonly password: string;
  readonly uid: number;
  readonly gid: number;
  /** The name of the person and what else the comment holds. */
  readonly comment: string;
  readonly home: string;
  readonly shell: string;
}

/** The highest uid and gid; the one above means "none" in many calls. */
export const MAX_ID = 0xfffffffe;

/** The users of a passwd file. Lines that are none are left out. */
export function parsePasswd(text: string): PasswdEntry[] {
  return allFields(text)
    .map(toEntry)
    .filter((entry) => entry !== undefined);
}

/** The first user called `name`. */
export function findUser(text: string, name: string): PasswdEntry | undefined {
  return parsePasswd(text).find((entry) => entry.name === name);
}

/** A passwd file with one more user. */
export function addUser(text: string, user: PasswdEntry): string {
  const { name, password, uid, gid, comment, home, shell } = user;
  return addFields(text, [name, password, String(uid), String(gid), comment, home, shell]);
}

/** A passwd file in which the password field of `name` is `password`. */
export function setPasswdPassword(text: string, name: string, password: string): string {
  return changeFields(text, name, ([first = '', , ...rest]) => [first, password, ...rest]);
}

/** A number of 32 bits in decimal; undefined for anything else. */
export function parseId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

function toEntry(fields: readonly string[]): PasswdEntry | undefined {
  const [name, password, uidText, gidText, comment, home, shell] = fields;
  const uid = parseId(uidText);
  const gid = parseId(gidText);
  if (!name || /^[#+-]/.test(name) || uid === undefined || gid === undefined) return undefined;
  if (password === undefined || comment === undefined || home === undefined) return undefined;
  return { name, password, uid, gid, comment, home, shell: shell ?? '' };
}

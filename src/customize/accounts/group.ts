import { addFields, allFields, changeFields } from './account-file.js';
import { parseId } from './passwd.js';

/** One line of group(5). */
export interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** The groups of a group file. Lines that are none are left out. */
export function parseGroup(text: string): GroupEntry[] {
  return allFields(text).flatMap(([name, , gidText, members]) => {
    const gid = parseId(gidText);
    if (!name || /^[#+-]/.test(name) || gid === undefined) return [];
    return [{ name, gid, members: splitMembers(members) }];
  });
}

/** A group file with one more group, without members of its own list. */
export function addGroup(text: string, name: string, gid: number): string {
  return addFields(text, [name, 'x', String(gid), '']);
}

/** A gshadow file with one more group, whose password nobody knows. */
export function addGshadow(text: string, name: string): string {
  return addFields(text, [name, '!', '', '']);
}

/** A group or gshadow file (both have the members in the fourth field) in which `user` is a member of `group`. */
export function addMember(text: string, group: string, user: string): string {
  return changeFields(text, group, ([name = '', password = '', third = '', members, ...rest]) => {
    const list = splitMembers(members);
    const all = list.includes(user) ? (members ?? '') : [...list, user].join(',');
    return [name, password, third, all, ...rest];
  });
}

function splitMembers(text: string | undefined): string[] {
  return (text ?? '').split(',').filter((member) => member !== '');
}

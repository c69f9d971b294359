import type { TarEntry } from './read-tar.js';

const XATTR = 'SCHILY.xattr.';
const SELINUX = 'RHT.security.selinux';
const ACLS = ['SCHILY.acl.access', 'SCHILY.acl.default'];

/** Attributes that ext has a place for. */
const KNOWN = /^(user|trusted|security)\.[^\0]+$|^system\.posix_acl_(access|default)$/;
const MAX_NAME = 255;

/** The extended attributes of a member, as GNU tar and others write them into extended headers. */
export function entryXattrs(entry: TarEntry, warn: (message: string) => void): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (const [keyword, value] of entry.records) {
    const name = keyword.slice(XATTR.length);
    if (keyword === SELINUX) xattrs.set('security.selinux', withNul(value));
    else if (ACLS.includes(keyword)) warn(`${entry.path}: its access control list is not taken over`);
    else if (!keyword.startsWith(XATTR)) continue;
    else if (KNOWN.test(name) && Buffer.byteLength(name) <= MAX_NAME) xattrs.set(name, value);
    else warn(`${entry.path}: its attribute ${JSON.stringify(name)} is not taken over`);
  }
  return xattrs;
}

/** A label on the disk ends with a NUL. */
function withNul(value: Buffer): Buffer {
  return value.at(-1) === 0 ? value : Buffer.concat([value, Buffer.from([0])]);
}

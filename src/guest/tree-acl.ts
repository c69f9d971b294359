/** The attribute that holds a file's access control list. */
export const ACCESS_ACL = 'system.posix_acl_access';

/** The attribute of a folder that holds the list which new files in it get. */
export const DEFAULT_ACL = 'system.posix_acl_default';

/** Tags of entries (kernel, include/uapi/linux/posix_acl.h). */
const USER_OBJ = 0x01;
const GROUP_OBJ = 0x04;
const MASK = 0x10;
const OTHER = 0x20;

const HEAD = 4;
const ENTRY = 8;
const MODE_BITS = 0o7;

/**
 * An access control list (in the form of `getxattr(2)`) as chmod(2) leaves it: the owner's and the others' entries follow the mode, and the
 * mode's group bits become the mask, or without one the group's entry (acl(5), "Correspondence between ACL entries and file
 * permission bits").
 */
export function aclWithMode(acl: Buffer, mode: number): Buffer {
  const changed = Buffer.from(acl);
  for (const { at, shift } of modeEntries(acl)) changed.writeUInt16LE((mode >> shift) & MODE_BITS, at + 2);
  return changed;
}

/** The permission bits that an access control list stands for (acl(5), the same section). */
export function modeOfAcl(acl: Buffer): number {
  return modeEntries(acl).reduce(
    (mode, { at, shift }) => mode | ((acl.readUInt16LE(at + 2) & MODE_BITS) << shift),
    0,
  );
}

/** Whether a list says more than permission bits can: what says no more is not stored for a file. */
export function isExtended(acl: Buffer): boolean {
  return entryPlaces(acl).length > 3;
}

/** Whether there is an owner's, a group's and an others' entry, as every list must have. */
export function isWholeAcl(acl: Buffer): boolean {
  const tags = new Set(entryPlaces(acl).map((at) => acl.readUInt16LE(at)));
  return [USER_OBJ, GROUP_OBJ, OTHER].every((tag) => tags.has(tag));
}

function entryPlaces(acl: Buffer): number[] {
  const count = Math.max(0, Math.floor((acl.length - HEAD) / ENTRY));
  return Array.from({ length: count }, (_, index) => HEAD + index * ENTRY);
}

/** Where the entries are that correspond to permission bits, and to which. */
function modeEntries(acl: Buffer): { at: number; shift: number }[] {
  const places = entryPlaces(acl);
  const hasMask = places.some((at) => acl.readUInt16LE(at) === MASK);
  const shifts = new Map([
    [USER_OBJ, 6],
    [hasMask ? MASK : GROUP_OBJ, 3],
    [OTHER, 0],
  ]);
  return places.flatMap((at) => {
    const shift = shifts.get(acl.readUInt16LE(at));
    return shift === undefined ? [] : [{ at, shift }];
  });
}

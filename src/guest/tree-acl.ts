/** The attribute that holds a file's access control list. */
export const ACCESS_ACL = 'system.posix_acl_access';

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
  const places = Array.from(
    { length: Math.floor((acl.length - HEAD) / ENTRY) },
    (_, index) => HEAD + index * ENTRY,
  );
  const hasMask = places.some((at) => acl.readUInt16LE(at) === MASK);
  const shifts = new Map([
    [USER_OBJ, 6],
    [hasMask ? MASK : GROUP_OBJ, 3],
    [OTHER, 0],
  ]);
  for (const at of places) {
    const shift = shifts.get(acl.readUInt16LE(at));
    if (shift !== undefined) changed.writeUInt16LE((mode >> shift) & MODE_BITS, at + 2);
  }
  return changed;
}

// acl(5) as the kernel hands it out (include/uapi/linux/posix_acl_xattr.h, little-endian) and as XFS stores it (fs/xfs/libxfs/xfs_format.h, big-endian).
const VERSION = 2;
const HEADER = 4;
const GIVEN_ENTRY = 8;
const STORED_ENTRY = 12;

/** An access control list in the form of XFS, from its value as an extended attribute; undefined when that is no such list. */
export function xfsAcl(value: Buffer): Buffer | undefined {
  const count = (value.length - HEADER) / GIVEN_ENTRY;
  if (!Number.isInteger(count) || count < 0 || value.readUInt32LE(0) !== VERSION) return undefined;
  const stored = Buffer.alloc(HEADER + count * STORED_ENTRY);
  stored.writeUInt32BE(count, 0);
  for (let index = 0; index < count; index += 1) {
    const from = HEADER + index * GIVEN_ENTRY;
    const to = HEADER + index * STORED_ENTRY;
    stored.writeUInt32BE(value.readUInt16LE(from), to);
    stored.writeUInt32BE(value.readUInt32LE(from + 4), to + 4);
    stored.writeUInt16BE(value.readUInt16LE(from + 2), to + 8);
  }
  return stored;
}

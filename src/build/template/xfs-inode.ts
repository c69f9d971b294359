import { TsbuilderError } from '../../errors.js';
import { FORKS_AT, FORMAT_AT, LOCAL, SIZE_AT } from './xfs-fork.js';
import { setAttributes } from './xfs-attributes.js';
import { writeCrc } from './xfs-crc.js';
import { cannotHold } from './xfs-refusal.js';

// Linux, fs/xfs/libxfs/xfs_format.h: fields of inodes (version 3), all big-endian.
const INODE_MAGIC = 0x494e;
const MODE_AT = 2;
const PERMISSIONS = 0o7777;
const UID_AT = 8;
const GID_AT = 12;
const CRC_AT = 100;
const FLAGS2_AT = 120;
const BIGTIME = 1n << 3n;
const WIDE_COUNTS = 1n << 4n;
const STAMPS = { atime: 32, mtime: 40, ctime: 48, crtime: 144 } as const;
/** Times count nanoseconds from the first second of a signed 32-bit clock. */
const BIGTIME_BEGIN = 2n ** 31n;

/** What an inode is to tell of its file. */
export interface InodeContent {
  /** Path, for messages. */
  readonly path: string;
  /** When the content changed, and all other times, in seconds since 1970. */
  readonly mtime: number;
  readonly epoch: number;
  /** Owner and permission bits; a file that no folder names keeps its own. */
  readonly owner?: { readonly mode: number; readonly uid: number; readonly gid: number } | undefined;
  /** Of a symbolic link, in the place of another of as many bytes. */
  readonly target?: string | undefined;
  /** From `shortAttributes`. */
  readonly attributes?: Buffer | undefined;
}

/**
 * Gives an inode that mkfs.xfs made its times, owner, permissions, target and extended attributes.
 *
 * @throws TSB_FILESYSTEM when it is no inode of this form, or the target or the attributes do not fit into it
 */
export function completeInode(inode: Buffer, content: InodeContent): void {
  const { path, mtime, epoch, owner, target, attributes } = content;
  const flags = inode.readBigUInt64BE(FLAGS2_AT);
  if (inode.readUInt16BE(0) !== INODE_MAGIC || !(flags & BIGTIME) || flags & WIDE_COUNTS)
    throw new TsbuilderError('TSB_FILESYSTEM', 'mkfs.xfs made an inode of unknown form');
  if (owner) {
    inode.writeUInt16BE((inode.readUInt16BE(MODE_AT) & ~PERMISSIONS) | (owner.mode & PERMISSIONS), MODE_AT);
    inode.writeUInt32BE(owner.uid, UID_AT);
    inode.writeUInt32BE(owner.gid, GID_AT);
  }
  for (const [name, at] of Object.entries(STAMPS))
    inode.writeBigUInt64BE((BigInt(name === 'mtime' ? mtime : epoch) + BIGTIME_BEGIN) * 1_000_000_000n, at);
  if (target !== undefined) setTarget(inode, target, path);
  setAttributes(inode, attributes, path);
  writeCrc(inode, CRC_AT);
}

function setTarget(inode: Buffer, target: string, path: string): void {
  const isHere = inode.readUInt8(FORMAT_AT) === LOCAL;
  if (!isHere || inode.readBigUInt64BE(SIZE_AT) !== BigInt(Buffer.byteLength(target)))
    throw cannotHold(path, 'a link with blanks to so long a name');
  inode.write(target, FORKS_AT);
}

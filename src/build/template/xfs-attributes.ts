import { TsbuilderError } from '../../errors.js';
import type { TreeEntry } from './tar-tree.js';
import { xfsAcl } from './xfs-acl.js';
import {
  DEVICE,
  EXTENTS,
  EXTENTS_AT,
  EXTENT_LENGTH,
  FORKS_AT,
  FORMAT_AT,
  LOCAL,
  SIZE_AT,
} from './xfs-fork.js';
import { cannotHold } from './xfs-refusal.js';

// "XFS Algorithms & Data Structures", chapters "Extended Attributes" and "On-disk Inode"; big-endian.
const ATTRIBUTE_EXTENTS_AT = 80;
const FORK_AT = 82;
const ATTRIBUTE_FORMAT_AT = 83;
const HEADER = 4;
const LONGEST = 255;
/** What access control lists are called on the disk. */
const ACLS: Readonly<Record<string, string>> = {
  'system.posix_acl_access': 'SGI_ACL_FILE',
  'system.posix_acl_default': 'SGI_ACL_DEFAULT',
};
/** The root of a tree of extents, which a fork may have to become, has a header and needs room for so many keys and pointers. */
const rootLength = (records: number): number => 4 + 16 * records;
const LEAST_DATA = rootLength(3);
const LEAST_ATTRIBUTES = rootLength(2);

/** On the disk a namespace is a flag. */
const ROOT = 2;
const NAMESPACES: Readonly<Record<string, number>> = { user: 0, trusted: ROOT, security: 4 };

/**
 * The attribute fork of an inode in its short form, the attributes in the order of their names; undefined for a file without any.
 *
 * @throws TSB_FILESYSTEM for an attribute that cannot be in one
 */
export function shortAttributes({
  path,
  attributes,
}: Pick<TreeEntry, 'path' | 'attributes'>): Buffer | undefined {
  // XFS itself shows access control lists by a second name.
  const sorted = [...attributes]
    .filter(([attribute]) => !attribute.startsWith('trusted.SGI_ACL_'))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (sorted.length === 0) return undefined;
  const entries = sorted.map(([attribute, value]) => {
    const stored = storedAttribute(attribute, value);
    if (!stored) throw cannotHold(path, `the attribute ${attribute}`);
    const { flag, name, value: content } = stored;
    if (name.length > LONGEST || content.length > LONGEST)
      throw cannotHold(path, `the attribute ${attribute} of ${content.length} bytes, more than ${LONGEST}`);
    return Buffer.concat([Buffer.of(name.length, content.length, flag), name, content]);
  });
  const fork = Buffer.concat([Buffer.alloc(HEADER), ...entries]);
  if (fork.length > 0xffff || entries.length > 0xff) throw tooLong(path, fork.length);
  fork.writeUInt16BE(fork.length, 0);
  fork.writeUInt8(entries.length, 2);
  return fork;
}

interface Stored {
  readonly flag: number;
  readonly name: Buffer;
  readonly value: Buffer;
}

/** How an attribute is on the disk; undefined when it is of no kind that can be there. */
function storedAttribute(attribute: string, value: Buffer): Stored | undefined {
  const acl = ACLS[attribute];
  if (acl !== undefined) {
    const converted = xfsAcl(value);
    return converted && { flag: ROOT, name: Buffer.from(acl), value: converted };
  }
  const [, prefix = '', name = ''] = /^(user|trusted|security)\.(.+)$/s.exec(attribute) ?? [];
  const flag = NAMESPACES[prefix];
  return flag === undefined ? undefined : { flag, name: Buffer.from(name), value };
}

/**
 * Puts an attribute fork behind the data fork of an inode, or takes away the one that mkfs.xfs made: newer ones copy some attributes
 * themselves. Its checksum is then to be made again.
 *
 * @throws TSB_FILESYSTEM when both forks do not fit into the inode, or it is of another form
 */
export function setAttributes(inode: Buffer, fork: Buffer | undefined, path: string): void {
  const had = inode.readUInt8(FORK_AT) > 0;
  if (!had && !fork) return;
  const room = inode.length - FORKS_AT;
  const data = dataLength(inode);
  if (data === undefined || (had && inode.readUInt8(ATTRIBUTE_FORMAT_AT) !== LOCAL))
    throw cannotHold(path, 'extended attributes on a file in so many pieces, or as many of them');
  const begin = fork ? forkBegin(inode, { room, fork }) : 0;
  if (fork && (begin < data || begin + fork.length > room)) throw tooLong(path, fork.length);
  inode.writeUInt8(begin / 8, FORK_AT);
  inode.writeUInt8(fork ? LOCAL : EXTENTS, ATTRIBUTE_FORMAT_AT);
  inode.writeUInt16BE(0, ATTRIBUTE_EXTENTS_AT);
  inode.fill(0, FORKS_AT + data);
  if (fork) fork.copy(inode, FORKS_AT + begin);
}

/** Where Linux would let the attribute fork begin, in bytes from the data fork on. */
function forkBegin(inode: Buffer, { room, fork }: { room: number; fork: Buffer }): number {
  if (inode.readUInt8(FORMAT_AT) === DEVICE) return 8;
  return Math.floor((room - Math.max(fork.length, LEAST_ATTRIBUTES)) / 8) * 8;
}

/** What the data fork takes at least; undefined when it is a tree of extents, whose place depends on the length of the fork. */
function dataLength(inode: Buffer): number | undefined {
  switch (inode.readUInt8(FORMAT_AT)) {
    case DEVICE:
      return 8;
    case LOCAL:
      return Math.max(Number(inode.readBigUInt64BE(SIZE_AT)), LEAST_DATA);
    case EXTENTS:
      return Math.max(inode.readUInt32BE(EXTENTS_AT) * EXTENT_LENGTH, LEAST_DATA);
    default:
      return undefined;
  }
}

function tooLong(path: string, length: number): TsbuilderError {
  return cannotHold(path, `${length} bytes of extended attributes: they do not fit into its inode`);
}

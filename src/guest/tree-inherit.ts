import type { FileAttributes, FileType } from './guest.js';
import { ACCESS_ACL, DEFAULT_ACL, aclWithMode, isExtended, isWholeAcl, modeOfAcl } from './tree-acl.js';
import type { Tree, TreeNode } from './tree.js';

const SET_GROUP = 0o2000;
/** What programs ask for, which a default list cuts down in place of the umask (acl(5), "Object creation and default ACLs"). */
const ASKED = { folder: 0o777, other: 0o666 };

/**
 * The attributes of a new file of `type` in `folder`: what `given` leaves out comes from the folder, as the kernel does it. In a set-group-ID
 * folder that is the group, and for folders the bit; where there is a default access control list, mode and lists come from it.
 * Who gives extended attributes gives all: then no list is added.
 */
export async function inherit(
  tree: Tree,
  folder: TreeNode,
  { type, given }: { type: FileType; given: FileAttributes },
): Promise<FileAttributes> {
  const isFolder = type === 'directory';
  const setGroup = (folder.mode & SET_GROUP) !== 0;
  const gid = given.gid ?? (setGroup ? folder.gid : undefined);
  const withMode = (mode: number): number => given.mode ?? (setGroup && isFolder ? mode | SET_GROUP : mode);
  const list = type === 'symlink' || given.xattrs ? undefined : (await tree.xattrs(folder)).get(DEFAULT_ACL);
  if (!list || !isWholeAcl(list)) {
    return { ...given, gid, mode: setGroup && isFolder ? withMode(0o755) : given.mode };
  }
  const mode = withMode(modeOfAcl(list) & (isFolder ? ASKED.folder : ASKED.other));
  const xattrs = new Map<string, Uint8Array>();
  if (isExtended(list)) xattrs.set(ACCESS_ACL, aclWithMode(list, mode));
  if (isFolder) xattrs.set(DEFAULT_ACL, list);
  return { ...given, gid, mode, xattrs };
}

import type { TreeEntry } from './tar-tree.js';
import { shortAttributes } from './xfs-attributes.js';
import { standInName, standInTarget } from './xfs-names.js';
import { cannotHold } from './xfs-refusal.js';

/** How mkfs.xfs makes a file of a tree, and what is put into the filesystem afterwards. Texts are bytes, a character each. */
export interface PlannedFile {
  readonly entry: TreeEntry;
  /** Path relative to the root, of stand-in names. */
  readonly madeAs: string;
  /** Where mkfs.xfs is to find the content of a file, relative to the tree: beside it when the path has blanks. */
  readonly source: string;
  /** What it is to take for the target of a symbolic link. */
  readonly target: string;
  /** The attribute fork; see `shortAttributes`. */
  readonly attributes: Buffer | undefined;
}

/** The files by `madeAs`, in the order of the names in the tree. */
export type XfsPlan = ReadonlyMap<string, PlannedFile>;

/**
 * How the files of a tree come into an XFS filesystem.
 *
 * @throws TSB_FILESYSTEM for a device, a name with blanks for which there is no stand-in, and as `shortAttributes`
 */
export function planXfs(entries: readonly TreeEntry[]): XfsPlan {
  const plan = new Map<string, PlannedFile>();
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const [index, entry] of sorted.entries()) {
    const { path, type } = entry;
    if (type === 'character' || type === 'block') throw cannotHold(path, 'devices');
    const names = path.split('/').map(standInName);
    const madeAs = names.join('/');
    if (names.includes(undefined) || plan.has(madeAs)) throw cannotHold(path, 'this name with blanks');
    plan.set(madeAs, {
      entry,
      madeAs,
      source: /[ \t\n]/.test(path) ? `../file-${index}` : `./${Buffer.from(path).toString('latin1')}`,
      target: standInTarget(entry.target),
      attributes: shortAttributes(entry),
    });
  }
  return plan;
}

/** The names that stand in for others in each folder, as `renameInBlock` takes them. */
export function plannedRenames(plan: XfsPlan): Map<string, Map<string, string>> {
  const folders = new Map<string, Map<string, string>>();
  for (const { entry, madeAs } of plan.values()) {
    const [standIn = '', name = ''] = [madeAs, entry.path].map((path) => path.split('/').at(-1));
    if (Buffer.from(name).toString('latin1') === standIn) continue;
    const folder = madeAs.split('/').slice(0, -1).join('/');
    folders.set(folder, (folders.get(folder) ?? new Map<string, string>()).set(standIn, name));
  }
  return folders;
}

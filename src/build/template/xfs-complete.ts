import { open } from 'node:fs/promises';
import { TsbuilderError } from '../../errors.js';
import { writeFully } from '../../image/write-fully.js';
import { e2fsEnv } from '../../io/e2fs-env.js';
import { exec } from '../../io/exec.js';
import { readFully } from '../../io/file-source.js';
import type { TemplateContext } from './context.js';
import type { Place } from './partition.js';
import { folderBlocks, renameInBlock, renameInInode } from './xfs-folder.js';
import { completeInode } from './xfs-inode.js';
import { type PlannedFile, type XfsPlan, plannedRenames } from './xfs-plan.js';
import { SUPERBLOCK_LENGTH, type XfsPlaces, allowAttributes, readPlaces } from './xfs-superblock.js';
import { cannotHold } from './xfs-refusal.js';

/** Reads a piece of the filesystem, changes it, and writes it back. */
type Change = (place: Place, by: (data: Buffer) => void) => Promise<Buffer>;

/** What the inode of a file is completed with. */
interface Completion {
  readonly change: Change;
  readonly places: XfsPlaces;
  readonly epoch: number;
  /** Names in the folder that the file is. */
  readonly renames: ReadonlyMap<string, string>;
}

/**
 * Gives the files of a filesystem that mkfs.xfs made in the file `image` what a prototype cannot say: owners, permissions, extended
 * attributes, names with blanks, their own time of change, and the template's for all other times, which mkfs.xfs takes from the present.
 *
 * @throws TSB_FILESYSTEM when something does not fit, or the filesystem is of another form
 */
export async function completeXfs(context: TemplateContext, image: string, plan: XfsPlan): Promise<void> {
  const { identity, signal } = context;
  const { epoch } = identity;
  await using handle = await open(image, 'r+');
  const change: Change = async ({ offset, length }, by) => {
    const data = Buffer.alloc(length);
    await readFully(image, handle, { data, offset, signal });
    by(data);
    await writeFully({ path: image, handle }, offset, data);
    return data;
  };
  const places = readPlaces(await change({ offset: 0, length: SUPERBLOCK_LENGTH }, () => undefined));
  for (const number of places.realtime)
    await change(places.inode(number), (data) => completeInode(data, { path: '', mtime: epoch, epoch }));
  const folders = plannedRenames(plan);
  for (const [number, madeAs] of (await namedInodes(image, signal)).set(places.root, '')) {
    const file = plan.get(madeAs);
    if (!file)
      throw new TsbuilderError('TSB_FILESYSTEM', `mkfs.xfs made /${madeAs}, which is not in the tree`);
    const renames = folders.get(madeAs) ?? new Map<string, string>();
    await completeFile(file, places.inode(number), { change, places, epoch, renames });
  }
  if ([...plan.values()].every(({ attributes }) => attributes === undefined)) return;
  for (const offset of places.superblocks)
    await change({ offset, length: SUPERBLOCK_LENGTH }, allowAttributes);
}

async function completeFile(
  { entry, target, attributes }: PlannedFile,
  place: Place,
  { change, places, epoch, renames }: Completion,
): Promise<void> {
  const { path } = entry;
  const mtime = Math.min(entry.mtime, epoch);
  const isStandIn = target !== Buffer.from(entry.target).toString('latin1');
  let found = 0;
  const inode = await change(place, (data) => {
    if (renames.size > 0) found += renameInInode(data, renames);
    const content = { path, mtime, epoch, owner: entry, attributes };
    completeInode(data, isStandIn ? { ...content, target: entry.target } : content);
  });
  if (renames.size === 0) return;
  for (const block of folderBlocks(inode, places))
    await change(block, (data) => {
      found += renameInBlock(data, renames);
    });
  if (found !== renames.size) throw cannotHold(path, 'names with blanks in so large a folder');
}

/** The inodes that have names, with their paths from the root, a character a byte. */
async function namedInodes(path: string, signal: AbortSignal | undefined): Promise<Map<number, string>> {
  const args = ['-r', '-c', 'blockget -n', '-c', 'ncheck', path];
  const { stdoutBytes } = await exec('xfs_db', args, { signal, env: e2fsEnv(), debianPackage: 'xfsprogs' });
  const lines = stdoutBytes.toString('latin1').matchAll(/^ *(\d+) ([^\n]*)$/gm);
  // A folder is called by the name of its own entry.
  return new Map([...lines].map(([, number, name]) => [Number(number), (name ?? '').replace(/\/\.$/, '')]));
}

import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { writeFully } from '../../image/write-fully.js';
import { e2fsEnv } from '../../io/e2fs-env.js';
import { exec } from '../../io/exec.js';
import { readFully } from '../../io/file-source.js';
import type { TemplateContext } from './context.js';
import { createSparse, placeFile } from './partition.js';
import { ROOT_X86_64_TYPE } from './root-ext4.js';
import { type RootVolume, rootUuid } from './root-volume.js';
import { execAsRoot } from './root.js';
import { withTree } from './unpack-tree.js';
import { readInodeTable, stampInode } from './xfs-inode.js';
import { FIND_FORMAT, type TreeEntry, formatPrototype, parseTree } from './xfs-prototype.js';

const MIB = 1024 ** 2;

/** What GRUB 2.06 and kernels from 5.15 can read, named, so that the result does not depend on this machine's mkfs.xfs. */
const FEATURES = [
  ...['-m', 'crc=1,finobt=1,rmapbt=0,reflink=1,bigtime=1,inobtcount=1'],
  ...['-i', 'size=512,sparse=1,nrext64=0', '-b', 'size=4096', '-s', 'size=512', '-n', 'ftype=1'],
];

/** A partition that is an XFS filesystem. */
export const xfsRoot: RootVolume = {
  partitionType: ROOT_X86_64_TYPE,
  device: (context) => `UUID=${rootUuid(context)}`,
  mount: 'xfs defaults 0 0',
  // mkfs.xfs makes none that is smaller.
  smallest: 300 * MIB,
  async make(context, { disk, offset, length }, tar) {
    await assertNoAttributes(context, tar);
    const image = join(context.workDir, 'root.img');
    await createSparse(image, length);
    const entries = await withTree(context, tar, (tree) => makeXfs(context, { image, tree }));
    await stampInodes(context, image, entries);
    await exec('xfs_repair', ['-n', image], { env: e2fsEnv(), signal: context.signal });
    await placeFile(context, image, { disk, offset });
    await rm(image);
  },
};

/** @throws TSB_FILESYSTEM for extended attributes, such as capabilities of programs: a prototype cannot have them */
async function assertNoAttributes({ signal }: TemplateContext, tar: string): Promise<void> {
  const list = ['--list', '-vv', '--xattrs', '--xattrs-include=*', '--file', tar];
  const { stdout } = await exec('tar', list, { signal });
  const found = /^.* (\S+)\n +x: +\d+ (\S+)$/m.exec(stdout);
  if (found) {
    throw new TsbuilderError(
      'TSB_FILESYSTEM',
      `${found[1] ?? ''}: layout xfs cannot hold the extended attribute ${found[2] ?? ''}`,
      { hint: "Remove it in the recipe's script, or choose another layout." },
    );
  }
}

async function makeXfs(
  context: TemplateContext,
  { image, tree }: { image: string; tree: string },
): Promise<TreeEntry[]> {
  const { workDir, signal } = context;
  const { stdout } = await execAsRoot('find', ['.', '-printf', FIND_FORMAT], { signal, cwd: tree });
  const entries = parseTree(stdout);
  const prototype = join(workDir, 'root.prototype');
  await writeFile(prototype, formatPrototype(entries));
  const identity = ['-m', `uuid=${rootUuid(context)}`, '-L', 'root'];
  const args = ['-q', ...FEATURES, ...identity, '-p', prototype, image];
  await execAsRoot('mkfs.xfs', args, { signal, cwd: tree, debianPackage: 'xfsprogs' });
  return entries;
}

/** Gives every file its own time of change, and all other times, which mkfs.xfs takes from the present, the template's. */
async function stampInodes(
  { identity, signal }: TemplateContext,
  path: string,
  entries: readonly TreeEntry[],
): Promise<void> {
  const { epoch } = identity;
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  await using handle = await open(path, 'r+');
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const data = Buffer.alloc(length);
    await readFully(path, handle, { data, offset, signal });
    return data;
  };
  const table = readInodeTable(await read(0, 512));
  const [root = 0] = table.unnamed;
  const named = await namedInodes(path, signal);
  for (const number of [...table.unnamed, ...named.keys()]) {
    const entry = byPath.get(number === root ? '' : (named.get(number) ?? ''));
    const offset = table.offsetOf(number);
    const inode = await read(offset, table.size);
    const mtime = Math.min(entry?.mtime ?? epoch, epoch);
    stampInode(inode, { mtime, epoch, sticky: ((entry?.mode ?? 0) & 0o1000) !== 0 });
    await writeFully({ path, handle }, offset, inode);
  }
}

/** The inodes that have names, with their paths from the root. */
async function namedInodes(path: string, signal: AbortSignal | undefined): Promise<Map<number, string>> {
  const args = ['-r', '-c', 'blockget -n', '-c', 'ncheck', path];
  const { stdout } = await exec('xfs_db', args, { signal, env: e2fsEnv(), debianPackage: 'xfsprogs' });
  const lines = stdout.matchAll(/^ *(\d+) (.*)$/gm);
  // A folder is called by the name of its own entry.
  return new Map([...lines].map(([, number, name]) => [Number(number), (name ?? '').replace(/\/\.$/, '')]));
}

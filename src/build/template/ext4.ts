import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { e2fsEnv } from '../../io/e2fs-env.js';
import { exec } from '../../io/exec.js';
import type { TemplateContext } from './context.js';
import { execAsRoot } from './root.js';
import { withTree } from './unpack-tree.js';

/** A filesystem to make inside a disk image. */
export interface Ext4Request {
  readonly disk: string;
  /** Where it begins and how long it is, in bytes. */
  readonly offset: number;
  readonly length: number;
  readonly label: string;
  readonly uuid: string;
}

/**
 * Features are named, so that the result does not depend on this machine's mke2fs.conf: checksums and 64-bit block
 * numbers (growth beyond 16 TiB), but neither metadata_csum_seed (GRUB 2.06 cannot read it) nor orphan_file (e2fsprogs
 * before 1.47 cannot).
 */
const FEATURES =
  'none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum';

/**
 * Makes an ext4 filesystem in a partition of `disk`, holding the tree of a tar file, with every time stamp that mke2fs
 * takes from the present set to the template's own.
 *
 * @throws TSB_TOOL_FAILED when a program fails, TSB_FILESYSTEM when what was made is not clean
 */
export async function makeExt4(context: TemplateContext, request: Ext4Request, tar: string): Promise<void> {
  const { disk, offset, length, label, uuid } = request;
  const extended = `offset=${offset},hash_seed=${uuid},lazy_itable_init=1,root_owner=0:0`;
  await withTree(context, tar, (tree) =>
    execAsRoot(
      'mke2fs',
      [
        ...['-q', '-F', '-t', 'ext4', '-b', '4096', '-I', '256', '-i', '16384', '-m', '1'],
        ...['-O', FEATURES, '-E', extended, '-U', uuid, '-L', label, '-d', tree, disk, `${length / 1024}k`],
      ],
      { signal: context.signal, env: timeEnv(context), debianPackage: 'e2fsprogs' },
    ),
  );
  await stampInodes(context, `${disk}?offset=${offset}`);
  await assertClean(context, `${disk}?offset=${offset}`);
}

/** Sets the change and access times of all inodes in use: mke2fs before 1.47.1 copies those of the unpacked tree. */
async function stampInodes(context: TemplateContext, device: string): Promise<void> {
  const { identity, workDir, signal } = context;
  const options = { signal, env: timeEnv(context) };
  const inodes = usedInodes((await exec('dumpe2fs', [device], options)).stdout);
  const time = `@${identity.epoch}`;
  const script = join(workDir, 'stamp.debugfs');
  const lines = inodes.flatMap((inode) => [`sif <${inode}> ctime ${time}`, `sif <${inode}> atime ${time}`]);
  await writeFile(script, `${lines.join('\n')}\n`);
  const { stdout, stderr } = await exec('debugfs', ['-w', '-f', script, device], options);
  // debugfs exits 0 when a command fails; it echoes each command and says nothing else when all is well.
  const complaint = `${stdout}${stderr}`
    .split('\n')
    .find((line) => line !== '' && !line.startsWith('debugfs'));
  if (complaint !== undefined)
    throw new TsbuilderError('TSB_FILESYSTEM', `debugfs cannot set time stamps: ${complaint}`);
}

/**
 * The root directory and every ordinary inode in use, from what dumpe2fs prints.
 *
 * @throws TSB_FILESYSTEM when that is not of the known form
 */
export function usedInodes(dump: string): number[] {
  const count = Number(/^Inode count:\s+(\d+)$/m.exec(dump)?.[1]);
  const first = Number(/^First inode:\s+(\d+)$/m.exec(dump)?.[1]);
  if (!(first <= count)) throw new TsbuilderError('TSB_FILESYSTEM', 'dumpe2fs prints no inode counts');
  const used = new Uint8Array(count + 1).fill(1);
  for (const [, ranges = ''] of dump.matchAll(/^ {2}Free inodes: ([\d, -]*)$/gm)) {
    for (const [, from, to] of ranges.matchAll(/(\d+)(?:-(\d+))?/g))
      used.fill(0, Number(from), Number(to ?? from) + 1);
  }
  const ordinary = Array.from({ length: count - first + 1 }, (_, index) => first + index);
  return [2, ...ordinary.filter((inode) => used[inode] === 1)];
}

async function assertClean(context: TemplateContext, device: string): Promise<void> {
  const { status, stdout } = await exec('e2fsck', ['-fn', device], {
    signal: context.signal,
    env: timeEnv(context),
    okStatus: [0, 4, 8, 12],
  });
  if (status !== 0)
    throw new TsbuilderError('TSB_FILESYSTEM', `the new filesystem is not clean: ${stdout.trim()}`);
}

function timeEnv(context: TemplateContext): Record<string, string> {
  return e2fsEnv({ fakeTime: context.identity.epoch });
}

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { e2fsEnv } from '../../io/e2fs-env.js';
import { exec } from '../../io/exec.js';
import type { TemplateContext } from './context.js';
import { createSparse, placeFile } from './partition.js';
import { ROOT_X86_64_TYPE } from './root-ext4.js';
import { type RootVolume, rootUuid } from './root-volume.js';
import { execAsRoot } from './root.js';
import { readTree } from './tar-tree.js';
import { withTree } from './unpack-tree.js';
import { completeXfs } from './xfs-complete.js';
import { type XfsPlan, planXfs } from './xfs-plan.js';
import { formatPrototype } from './xfs-prototype.js';

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
    const plan = planXfs(await readTree(context, tar));
    const image = join(context.workDir, 'root.img');
    await createSparse(image, length);
    await withTree(context, tar, (tree) => makeXfs(context, { image, tree }, plan));
    await completeXfs(context, image, plan);
    await exec('xfs_repair', ['-n', image], { env: e2fsEnv(), signal: context.signal });
    await placeFile(context, image, { disk, offset });
    await rm(image);
  },
};

async function makeXfs(
  context: TemplateContext,
  { image, tree }: { image: string; tree: string },
  plan: XfsPlan,
): Promise<void> {
  const { workDir, signal } = context;
  for (const { entry, source } of plan.values()) {
    if (entry.type === 'file' && source.startsWith('../'))
      await execAsRoot('mv', ['-T', '--', `./${entry.path}`, source], { signal, cwd: tree });
  }
  const prototype = join(workDir, 'root.prototype');
  await writeFile(prototype, formatPrototype(plan.values()));
  const identity = ['-m', `uuid=${rootUuid(context)}`, '-L', 'root'];
  const args = ['-q', ...FEATURES, ...identity, '-p', prototype, image];
  await execAsRoot('mkfs.xfs', args, { signal, cwd: tree, debianPackage: 'xfsprogs' });
}

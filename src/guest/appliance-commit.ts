import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TsbuilderError } from '../errors.js';
import type { ApplianceBase } from './appliance-base.js';
import { type ApplianceCommit, planApplianceCommit } from './appliance-plan.js';
import type { GuestfishShell } from './appliance-shell.js';
import { tarArchive } from './appliance-tar.js';
import { fromByteString, toByteString } from './byte-path.js';
import { contentSize } from './read-files.js';
import { resolvePath } from './resolve-path.js';
import { type Tree, openTree } from './tree.js';

/**
 * Brings the changes of a tree to the filesystems of an appliance: names away, one archive with everything new
 * unpacked, attributes set; then looks whether all is there.
 *
 * @returns what is mounted afterwards
 * @throws TSB_GUEST when something cannot be expressed (before anything is written) or is not there afterwards,
 *   TSB_NO_SPACE, TSB_TOOL_FAILED
 */
export async function commitToAppliance(
  { base, tree }: { base: ApplianceBase; tree: Tree },
  how: { shell: GuestfishShell; folder: string; refresh: () => Promise<ApplianceBase> },
): Promise<ApplianceBase> {
  const { shell, folder } = how;
  const plan = await planApplianceCommit(tree, base);
  if (!plan.changes) return base;
  for (const [command, ...words] of plan.before) await shell.send(command, ...words);
  if (plan.entries.length > 0) {
    const archive = join(folder, 'changes.tar');
    try {
      await pipeline(Readable.from(tarArchive(plan.entries)), createWriteStream(archive, { mode: 0o600 }));
      await shell.send('tar-in', toByteString(archive), '/', 'xattrs:true');
    } finally {
      await rm(archive, { force: true });
    }
  }
  for (const [command, ...words] of plan.after) await shell.send(command, ...words);
  await shell.send('sync');
  const after = await how.refresh();
  await assertDone(plan, after);
  return after;
}

async function assertDone(plan: ApplianceCommit, after: ApplianceBase): Promise<void> {
  const tree = openTree(after, 0);
  for (const entry of plan.entries) {
    const path = fromByteString(`/${entry.path}`);
    if (path === undefined) continue;
    const { node } = await resolvePath(tree, path, 'parents');
    const size = entry.content === undefined ? undefined : await contentSize(entry.content);
    const type = entry.type === 'hardLink' ? node?.type : entry.type;
    if (node?.base && node.type === type && (size === undefined || node.base.size === size)) continue;
    throw new TsbuilderError('TSB_GUEST', `${path} in ${after.name}: is not there after it was written`, {
      details: { path },
    });
  }
}

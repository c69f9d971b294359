import { join } from 'node:path';
import type { DescribedPartition } from '../../build/describe-disk.js';
import { planBuild } from '../../build/plan-build.js';
import { runBuild } from '../../build/run-build.js';
import { TsbuilderError } from '../../errors.js';
import { ANY_STATUS, complaint, runE2fs } from '../../guest/ext/e2fs-run.js';
import { openTemplateCache } from '../../index-repo/template-cache.js';
import type { TemplateEntry } from '../../index-repo/template-entry.js';
import { openE2fsScratch } from '../../io/e2fs-env.js';
import { openScratchFolder } from '../../io/scratch-folder.js';
import type { Progress } from '../../progress.js';
import { GROWTH } from './verify-template.js';

/** How templates are built for a check. */
export interface BuildCheck {
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Builds a template to a temporary disk as a user would, larger where the index says what grows, and has e2fsck look through every ext
 * filesystem that is on a partition. Nothing of it is left.
 *
 * @throws the codes of a build, and TSB_FILESYSTEM with what e2fsck found
 */
export async function checkBuild(entry: TemplateEntry, check: BuildCheck): Promise<void> {
  const { name, size, expand, lvexpand } = entry;
  await using folder = await openScratchFolder('verify');
  const output = join(folder.path, `${name}.img`);
  const targetSize = expand === undefined && lvexpand === undefined ? undefined : size + GROWTH;
  const plan = planBuild(entry, { output, format: 'raw', targetSize, machineId: 'random' });
  const { layout } = await runBuild(plan, {
    ...{ entry, cache: openTemplateCache(join(folder.path, 'cache')), ...check },
    ...{ force: false, sync: false, offline: true, noCache: false },
    work: { stages: [], settings: {}, machine: { network: false } },
  });
  for (const partition of layout.partitions.filter(({ content }) => content.kind === 'ext'))
    await assertClean(output, partition, { name, signal: check.signal });
}

async function assertClean(
  diskPath: string,
  { number, offset }: DescribedPartition,
  { name, signal }: { name: string; signal: AbortSignal },
): Promise<void> {
  await using scratch = await openE2fsScratch(diskPath, offset);
  const target = { diskPath, offset, now: Math.floor(Date.now() / 1000) };
  const command = ['e2fsck', '-fn', scratch.device] as const;
  const found = await runE2fs(target, scratch, { command: [...command], okStatus: ANY_STATUS, signal });
  if (found.status === 0) return;
  const what = `e2fsck found (status ${found.status}): ${complaint(found.stdout, found.stderr)}`;
  throw new TsbuilderError('TSB_FILESYSTEM', `${name}: partition ${number} of the built disk: ${what}`);
}

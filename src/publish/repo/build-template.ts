import { join } from 'node:path';
import { planBuild } from '../../build/plan-build.js';
import { runBuild } from '../../build/run-build.js';
import { openTemplateCache } from '../../index-repo/template-cache.js';
import type { TemplateEntry } from '../../index-repo/template-entry.js';
import { openScratchFolder } from '../../io/scratch-folder.js';
import type { Progress } from '../../progress.js';
import { checkFilesystems } from './check-filesystems.js';
import { GROWTH } from './plan-growth.js';

/** How templates are built for a check. */
export interface BuildCheck {
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Builds a template to a temporary disk as a user would, larger where the index says what grows, and has its filesystems looked through.
 * Nothing of it is left.
 *
 * @throws the codes of a build, and of `checkFilesystems`
 */
export async function checkBuild(entry: TemplateEntry, check: BuildCheck): Promise<void> {
  const { name, size, expand, lvexpand } = entry;
  await using folder = await openScratchFolder('verify');
  const output = join(folder.path, `${name}.img`);
  const targetSize = expand === undefined && lvexpand === undefined ? undefined : size + GROWTH;
  const plan = planBuild(entry, { output, format: 'raw', targetSize, machineId: 'random' });
  await runBuild(plan, {
    ...{ entry, cache: openTemplateCache(join(folder.path, 'cache')), ...check },
    ...{ force: false, sync: false, offline: true, noCache: false },
    work: { stages: [], settings: {}, machine: { network: false } },
  });
  await checkFilesystems({ path: output, name }, check);
}

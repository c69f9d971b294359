import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { named } from '../customize/apply-operations.js';
import { openCidata } from '../customize/cloud-init/cidata.js';
import { type SeedChoice, readSeedFiles, seedHostFiles } from '../customize/cloud-init/seed-files.js';
import { TsbuilderError } from '../errors.js';
import type { RandomSource } from '../io/random.js';
import type { Progress } from '../progress.js';
import { assertNotInput } from './assert-not-input.js';

/** A disk for cloud-init to be made beside the image, and what is on it. */
export interface CloudInitDisk {
  readonly path: string;
  readonly choice: SeedChoice;
}

/** What the disk is made with. */
export interface CloudInitDiskMeans {
  readonly random: RandomSource;
  /** Seconds since 1970 for all times that are written; undefined: now. */
  readonly fakeTime?: number | undefined;
  /** The image beside which it is made. */
  readonly image: string;
  readonly force: boolean;
  readonly sync: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Makes the disk for cloud-init, then does `work`; the disk appears when `work` is done, and not if it fails.
 *
 * @param disk undefined: only the work is done
 * @throws TSB_USAGE when it is the image itself or a file that it is made of; as `readSeedFiles` and `openCidata`, before the work, and what the work throws
 */
export async function withCloudInitDisk<T>(
  disk: CloudInitDisk | undefined,
  means: CloudInitDiskMeans,
  work: () => Promise<T>,
): Promise<T> {
  if (!disk) return work();
  const { random, fakeTime, force, sync, progress, signal } = means;
  const warn = (message: string): void => progress.warn(message);
  await assertOther(disk.path, means.image);
  for (const { path } of seedHostFiles(disk.choice))
    await named('cloud-init-disk', () =>
      assertNotInput(path, disk.path, 'Choose another name for the disk.'),
    );
  const files = await named('cloud-init', () => readSeedFiles(disk.choice, { random, warn, signal }));
  await using output = await openCidata(disk.path, files, {
    now: fakeTime ?? Math.floor(Date.now() / 1000),
    volumeId: random.bytes(4, 'cidata').readUInt32BE(),
    force,
    sync,
    signal,
  });
  const result = await work();
  await output.commit();
  return result;
}

async function assertOther(path: string, image: string): Promise<void> {
  const real = (name: string): Promise<string> => realpath(name).catch(() => resolve(name));
  if ((await real(path)) !== (await real(image))) return;
  throw new TsbuilderError('TSB_USAGE', `--cloud-init-disk: ${path} is the image itself`, {
    hint: 'Choose another name for the disk of cloud-init.',
  });
}

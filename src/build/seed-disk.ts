import { seedSystemdBoot } from '../customize/esp-seed.js';
import { seedGuest } from '../customize/seed-guest.js';
import { forEachGuest } from '../guest/open-guest.js';
import { openFileSource } from '../io/file-source.js';
import { seededRandom, systemRandom } from '../io/random.js';
import type { Progress } from '../progress.js';
import type { BuildPlan } from './plan-build.js';
import { describeDisk } from './describe-disk.js';

/** How a disk is seeded. */
export interface SeedOptions {
  readonly plan: Pick<BuildPlan, 'seed' | 'machineId'>;
  readonly sync: boolean;
  /** Seconds since 1970 for all times that are written; undefined: now. */
  readonly fakeTime: number | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Gives every Linux system on the raw disk at `path` a random seed and a machine-id of its own.
 *
 * @returns what was done, one line each
 * @throws TSB_FILESYSTEM, TSB_GUEST, TSB_TOOL_MISSING
 */
export async function seedDisk(path: string, options: SeedOptions): Promise<string[]> {
  const { plan, progress, signal, sync, fakeTime } = options;
  using _ = progress.step('Seeding');
  const random = plan.seed === undefined ? systemRandom() : seededRandom(plan.seed);
  await using source = await openFileSource(path);
  const { partitions } = await describeDisk(source, signal);
  const disk = { path, partitions };
  const guests = await forEachGuest(disk, { sync, fakeTime, signal }, (guest) =>
    seedGuest(guest, { random, machineId: plan.machineId }),
  );
  if (guests.length === 0) {
    progress.warn(
      'no Linux system was found on an ext filesystem, so no random seed or machine-id was written',
    );
  }
  const esp = await seedSystemdBoot(disk, {
    random,
    fakeTime,
    signal,
    warn: (message) => progress.warn(message),
  });
  return [...guests.flat(), ...esp];
}
